// The part of SYCL and of Intel's extensions that hls4ml's oneAPI projects use, for g++: pipes are
// queues, and a task ends before the next one starts.
#ifndef ACTC_EMULATED_SYCL_HPP_
#define ACTC_EMULATED_SYCL_HPP_

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <utility>

#define SYCL_EXTERNAL

namespace sycl {

class queue {};

namespace ext::intel::experimental {

// As Intel's: what it is called, what goes through it, and how many words it holds at least.
template <class name_T, class data_T, std::int32_t capacity = 0, class properties_T = void>
class pipe {
    static std::deque<data_T> &words() {
        static std::deque<data_T> all;
        return all;
    }

  public:
    // A pipe that is read empty would wait for ever.
    static data_T read() {
        if (words().empty())
            std::abort();
        data_T first = words().front();
        words().pop_front();
        return first;
    }
    static void write(const data_T &word) { words().push_back(word); }
    static data_T read(queue &) { return read(); }
    static void write(queue &, const data_T &word) { write(word); }
    static bool empty() { return words().empty(); }
};

template <auto &task> class task_sequence {
  public:
    template <class... arguments_T> void async(arguments_T &&...arguments) const {
        task(std::forward<arguments_T>(arguments)...);
    }
    void get() const {}
};

template <int> struct ready_latency_t {};
template <int clocks> inline constexpr ready_latency_t<clocks> ready_latency{};
template <class...> struct streaming_interface_t {};
template <class... kinds_T> inline constexpr streaming_interface_t<kinds_T...> streaming_interface{};
template <class...> struct pipelined_t {};
template <class... kinds_T> inline constexpr pipelined_t<kinds_T...> pipelined{};

} // namespace ext::intel::experimental

namespace ext::oneapi::experimental {

struct properties_tag {};
template <class... properties_T> struct properties {
    constexpr explicit properties(properties_T...) {}
};

} // namespace ext::oneapi::experimental

} // namespace sycl

#endif

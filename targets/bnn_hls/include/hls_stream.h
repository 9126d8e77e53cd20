// Streams for simulation with a plain C++ compiler; see ap_int.h for what this is and is not.
//
// A stream holds any number of words, unless ACTC_THREADS is defined: then it blocks as one in
// hardware, at `depth` words, which set_depth() sets, and is used by two threads at a time.
#ifndef ACTC_SIMULATION_HLS_STREAM_H
#define ACTC_SIMULATION_HLS_STREAM_H

#include <cstdio>
#include <cstdlib>
#include <deque>
#ifdef ACTC_THREADS
#include <condition_variable>
#include <mutex>
#endif

namespace hls {

template <class T>
class stream {
 public:
  stream() : name_("") {}
  explicit stream(const char* name) : name_(name) {}

#ifndef ACTC_THREADS
  bool empty() const { return words_.empty(); }
  void write(const T& word) { words_.push_back(word); }
  T read() {
    if (words_.empty()) {
      std::fprintf(stderr, "the stream %s is read while it is empty\n", name_);
      std::exit(3);
    }
    const T word = words_.front();
    words_.pop_front();
    return word;
  }
#else
  void set_depth(std::size_t depth) { depth_ = depth; }
  bool empty() {
    std::unique_lock<std::mutex> lock(mutex_);
    return words_.empty();
  }
  void write(const T& word) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (words_.size() >= depth_) changed_.wait(lock);
    words_.push_back(word);
    changed_.notify_all();
  }
  T read() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (words_.empty()) changed_.wait(lock);
    const T word = words_.front();
    words_.pop_front();
    changed_.notify_all();
    return word;
  }
#endif

 private:
  stream(const stream&);
  stream& operator=(const stream&);

  const char* name_;
  std::deque<T> words_;
#ifdef ACTC_THREADS
  std::size_t depth_ = std::size_t(-1);
  std::mutex mutex_;
  std::condition_variable changed_;
#endif
};

}  // namespace hls

#endif

// Streams for simulation with a plain C++ compiler; see ap_int.h for what this is and is not.
//
// A stream holds any number of words, unless ACTC_THREADS is defined: then it blocks as one in
// hardware, at `depth` words, which set_depth() sets, and is used by two threads at a time.
#ifndef ACTC_SIMULATION_HLS_STREAM_H
#define ACTC_SIMULATION_HLS_STREAM_H

#include <cstdio>
#include <cstdlib>
#include <cstring>
#ifdef ACTC_THREADS
#include <condition_variable>
#include <mutex>
#endif

namespace hls {

// Words in the order in which they came, as bytes: no code of it is compiled for each type.
class queue_of_bytes {
 public:
  explicit queue_of_bytes(std::size_t size)
      : bytes_(0), size_(size), room_(0), first_(0), count_(0) {}
  ~queue_of_bytes() { std::free(bytes_); }

  std::size_t count() const { return count_; }
  void push(const void* word) {
    if (count_ == room_) grow();
    std::memcpy(at(count_), word, size_);
    count_++;
  }
  void pop(void* word) {
    std::memcpy(word, at(0), size_);
    first_ = (first_ + 1) % room_;
    count_--;
  }

 private:
  queue_of_bytes(const queue_of_bytes&);
  queue_of_bytes& operator=(const queue_of_bytes&);

  char* at(std::size_t place) { return bytes_ + (first_ + place) % room_ * size_; }
  void grow() {
    const std::size_t room = room_ ? 2 * room_ : 16;
    char* const bytes = static_cast<char*>(std::malloc(room * size_));
    if (!bytes) std::abort();
    for (std::size_t i = 0; i < count_; i++) std::memcpy(bytes + i * size_, at(i), size_);
    std::free(bytes_);
    bytes_ = bytes;
    room_ = room;
    first_ = 0;
  }

  char* bytes_;
  std::size_t size_, room_, first_, count_;
};

template <class T>
class stream {
 public:
  stream() : name_(""), words_(sizeof(T)) {}
  explicit stream(const char* name) : name_(name), words_(sizeof(T)) {}

#ifndef ACTC_THREADS
  bool empty() const { return words_.count() == 0; }
  void write(const T& word) { words_.push(&word); }
  T read() {
    if (words_.count() == 0) {
      std::fprintf(stderr, "the stream %s is read while it is empty\n", name_);
      std::exit(3);
    }
    T word;
    words_.pop(&word);
    return word;
  }
#else
  void set_depth(std::size_t depth) { depth_ = depth; }
  bool empty() {
    std::unique_lock<std::mutex> lock(mutex_);
    return words_.count() == 0;
  }
  void write(const T& word) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (words_.count() >= depth_) changed_.wait(lock);
    words_.push(&word);
    changed_.notify_all();
  }
  T read() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (words_.count() == 0) changed_.wait(lock);
    T word;
    words_.pop(&word);
    changed_.notify_all();
    return word;
  }
#endif

 private:
  stream(const stream&);
  stream& operator=(const stream&);

  const char* name_;
  queue_of_bytes words_;
#ifdef ACTC_THREADS
  std::size_t depth_ = std::size_t(-1);
  std::mutex mutex_;
  std::condition_variable changed_;
#endif
};

}  // namespace hls

#endif

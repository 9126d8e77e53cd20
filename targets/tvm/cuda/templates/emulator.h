// CUDA's threads on a CPU, to execute kernels.cu where there is no GPU: block by block, and in a
// block thread by thread. Threads of a kernel with barriers are contexts that take turns: each
// runs up to its next barrier. A barrier that some threads never reach is an error.
#pragma once
#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#ifdef ACTC_CHECKED
#include "checker.h"
extern "C" const char __start_actc_shared[] __attribute__((weak));
extern "C" const char __stop_actc_shared[] __attribute__((weak));
#define __shared__ static __attribute__((section("actc_shared")))
#else
#define __shared__ static
#endif
#define __launch_bounds__(n)
#define __restrict__

using std::max;
using std::min;

struct Dim3 {
  unsigned x, y, z;
};
static Dim3 threadIdx, blockIdx, blockDim;

namespace emulation {

static jmp_buf failing;
static bool failed;

enum State { READY, AT_BLOCK, AT_WARP, DONE };
struct Thread {
  ucontext_t context;  // where it begins; later turns start from `jump`, which is faster
  jmp_buf jump;
  bool begun;
  std::vector<char> stack;
  State state;
};

static std::vector<Thread> threads;
static jmp_buf scheduler;
static unsigned current;
static void (*entry)(void **);
static void **arguments;
static bool deadlock;

// The order of blocks, and of threads between barriers: any one must give the same results.
enum Order { FORWARDS, BACKWARDS, SHUFFLED };
static Order order;
static std::mt19937 chance;

static std::vector<unsigned> ordered(unsigned count) {
  std::vector<unsigned> places(count);
  std::iota(places.begin(), places.end(), 0u);
  if (order == BACKWARDS) std::reverse(places.begin(), places.end());
  if (order == SHUFFLED) std::shuffle(places.begin(), places.end(), chance);
  return places;
}

static unsigned epoch;  // barriers of the block that all threads have passed

static void at_thread(unsigned thread) {
  threadIdx.x = thread;
#ifdef ACTC_CHECKED
  checker::at_thread(blockIdx.x, thread, epoch);
#endif
}

static void wait(State state) {
  const unsigned self = current;
  threads[self].state = state;
  if (!_setjmp(threads[self].jump)) _longjmp(scheduler, 1);
  current = self;
  at_thread(self);
}

static void begin() {
  at_thread(current);
  entry(arguments);
  threads[current].state = DONE;
  _longjmp(scheduler, 1);
}

static void turn(Thread &thread) {
  if (_setjmp(scheduler)) return;
  if (thread.begun) _longjmp(thread.jump, 1);
  thread.begun = true;
  setcontext(&thread.context);
}

static bool all(unsigned first, unsigned last, State state) {
  bool some = false;
  for (unsigned t = first; t < last; ++t) {
    if (threads[t].state == DONE) continue;
    if (threads[t].state != state) return false;
    some = true;
  }
  return some;
}

static bool release(unsigned first, unsigned last, State state) {
  if (!all(first, last, state)) return false;
  for (unsigned t = first; t < last; ++t)
    if (threads[t].state == state) threads[t].state = READY;
  return true;
}

static void run_block(unsigned count) {
  if (threads.size() < count) threads.resize(count);
  for (unsigned t = 0; t < count; ++t) {
    Thread &thread = threads[t];
    thread.stack.resize(1 << 16);
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.data();
    thread.context.uc_stack.ss_size = thread.stack.size();
    thread.context.uc_link = nullptr;
    makecontext(&thread.context, begin, 0);
    thread.state = READY;
    thread.begun = false;
  }
  epoch = 0;
  for (;;) {
    bool progress = false, left = false;
    for (const unsigned t : ordered(count)) {
      if (threads[t].state != READY) continue;
      progress = true;
      current = t;
      turn(threads[t]);
    }
    for (unsigned t = 0; t < count; ++t) left |= threads[t].state != DONE;
    if (!left) return;
    if (!progress) {
      deadlock = true;
      return;
    }
    for (unsigned t = 0; t < count; t += 32) release(t, min(t + 32, count), AT_WARP);
    epoch += release(0, count, AT_BLOCK);
  }
}

struct Fragments {
  int a[4], b[2];
};

// Every lane of a warp gives a value and then sees those of all lanes. What the lanes gave is kept
// until the call after the next one: by then every lane has passed a barrier.
template <class Value>
static const Value *share(const Value &mine) {
  static Value kept[2][32][32];
  static unsigned turn[1024];
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  Value *all = kept[turn[threadIdx.x]++ % 2][warp];
  all[lane] = mine;
  wait(AT_WARP);
  return all;
}

static inline int word_of_a(const Fragments *lanes, int row, int word) {
  return lanes[4 * (row % 8) + word % 4].a[row / 8 + word / 4 * 2];
}
static inline int word_of_b(const Fragments *lanes, int column, int word) {
  return lanes[4 * column + word % 4].b[word / 4];
}

// Sums of a lane: `product(a, b)` of each pair of words, added up.
template <class Sum, class Product>
static void multiply(Sum *sums, const Fragments &mine, Product product) {
  const Fragments *lanes = share(mine);
  const int group = threadIdx.x % 32 / 4, part = threadIdx.x % 4;
  for (int k = 0; k < 4; ++k)
    for (int word = 0; word < 8; ++word)
      sums[k] += product(word_of_a(lanes, group + k / 2 * 8, word),
                         word_of_b(lanes, 2 * part + k % 2, word));
}

}  // namespace emulation

struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
static inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

static inline void actc_fail() {
  emulation::failed = true;
  _longjmp(emulation::failing, 1);
}
static inline void __syncthreads() { emulation::wait(emulation::AT_BLOCK); }
static inline int __popc(unsigned value) { return __builtin_popcount(value); }

template <class Value>
static Value actc_warp_sum(Value value) {
  for (int apart = 16; apart; apart /= 2)
    value += emulation::share(value)[(threadIdx.x % 32) ^ apart];
  return value;
}
template <class Value>
static Value actc_warp_max(Value value) {
  for (int apart = 16; apart; apart /= 2)
    value = max(value, emulation::share(value)[(threadIdx.x % 32) ^ apart]);
  return value;
}
static inline unsigned actc_warp_bits(int mine) {
  const int *all = emulation::share(mine);
  unsigned bits = 0;
  for (int lane = 0; lane < 32; ++lane) bits |= static_cast<unsigned>(all[lane] != 0) << lane;
  return bits;
}
static inline int actc_dp4a(int a, int b, int sum) {
  for (int k = 0; k < 4; ++k)
    sum += static_cast<uint8_t>(a >> 8 * k) * static_cast<int8_t>(b >> 8 * k);
  return sum;
}
static inline void actc_mma_u8s8(int *c, int a0, int a1, int a2, int a3, int b0, int b1) {
  emulation::multiply(c, {{a0, a1, a2, a3}, {b0, b1}},
                      [](int a, int b) { return actc_dp4a(a, b, 0); });
}
static inline float actc_half(int word, int k) {
  const uint16_t bits = static_cast<uint16_t>(word >> 16 * k);
  _Float16 half;
  memcpy(&half, &bits, sizeof half);
  return static_cast<float>(half);
}
static inline void actc_mma_f16(float *c, int a0, int a1, int a2, int a3, int b0, int b1) {
  emulation::multiply(c, {{a0, a1, a2, a3}, {b0, b1}}, [](int a, int b) {
    return actc_half(a, 0) * actc_half(b, 0) + actc_half(a, 1) * actc_half(b, 1);
  });
}
static inline float actc_widen(uint16_t bits) { return actc_half(bits, 0); }
static inline uint16_t actc_narrow(float value) {
  const float end = fabsf(value) == INFINITY ? INFINITY : 65504.0f;
  const _Float16 half = static_cast<_Float16>(value > end ? end : value < -end ? -end : value);
  uint16_t bits;
  memcpy(&bits, &half, sizeof bits);
  return bits;
}
static inline uint16_t actc_round_half(float value) {
  const _Float16 half = static_cast<_Float16>(value);
  uint16_t bits;
  memcpy(&bits, &half, sizeof bits);
  return bits;
}
static inline int actc_halves(float low, float high) {
  const _Float16 halves[2] = {static_cast<_Float16>(low), static_cast<_Float16>(high)};
  int word;
  memcpy(&word, halves, sizeof word);
  return word;
}

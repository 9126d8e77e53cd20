// CUDA's threads on a CPU, to execute kernels.cu where there is no GPU: block by block, and in a
// block thread by thread. Threads of a kernel with barriers are contexts that take turns: each
// runs up to its next barrier. A barrier that some threads never reach is an error.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(n)
#define __restrict__

using std::max;
using std::min;

struct Dim3 {
  unsigned x, y, z;
};
static Dim3 threadIdx, blockIdx, blockDim;

namespace emulation {

enum State { READY, AT_BLOCK, AT_WARP, DONE };
struct Thread {
  ucontext_t context;
  std::vector<char> stack;
  State state;
};

static std::vector<Thread> threads;
static ucontext_t scheduler;
static unsigned current;
static void (*entry)(void **);
static void **arguments;
static bool deadlock;

static void wait(State state) {
  const unsigned self = current;
  threads[self].state = state;
  swapcontext(&threads[self].context, &scheduler);
  current = self;
  threadIdx.x = self;
}

static void begin() {
  threadIdx.x = current;
  entry(arguments);
  threads[current].state = DONE;
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

static void release(unsigned first, unsigned last, State state) {
  if (!all(first, last, state)) return;
  for (unsigned t = first; t < last; ++t)
    if (threads[t].state == state) threads[t].state = READY;
}

static void run_block(unsigned count) {
  if (threads.size() < count) threads.resize(count);
  for (unsigned t = 0; t < count; ++t) {
    Thread &thread = threads[t];
    thread.stack.resize(1 << 16);
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.data();
    thread.context.uc_stack.ss_size = thread.stack.size();
    thread.context.uc_link = &scheduler;
    makecontext(&thread.context, begin, 0);
    thread.state = READY;
  }
  for (;;) {
    bool progress = false, left = false;
    for (unsigned t = 0; t < count; ++t)
      if (threads[t].state == READY) {
        progress = true;
        current = t;
        swapcontext(&scheduler, &threads[t].context);
      }
    for (unsigned t = 0; t < count; ++t) left |= threads[t].state != DONE;
    if (!left) return;
    if (!progress) {
      deadlock = true;
      return;
    }
    for (unsigned t = 0; t < count; t += 32) release(t, min(t + 32, count), AT_WARP);
    release(0, count, AT_BLOCK);
  }
}

// Every lane of a warp gives `size` bytes and then sees those of all lanes.
static const unsigned char (*share(const void *mine, size_t size))[64] {
  static unsigned char kept[32][32][64];
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  memcpy(kept[warp][lane], mine, size);
  wait(AT_WARP);
  return kept[warp];
}
static void shared_is_read() { wait(AT_WARP); }

}  // namespace emulation

static inline void __syncthreads() { emulation::wait(emulation::AT_BLOCK); }
static inline int __popc(unsigned value) { return __builtin_popcount(value); }

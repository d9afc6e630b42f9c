// Runs kernels of CUDA C++ on a CPU: every thread of a block is a fiber, so that __syncthreads works as it must. A block
// in which some threads wait while others have ended is told, for on a device it would hang. No races, no warps.

#include <csetjmp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ucontext.h>

#define __global__
#define __device__
#define __noinline__
#define __shared__ static

struct Index {
    unsigned x;
};
static Index blockIdx, threadIdx, blockDim, gridDim;

static const int MOST_FIBERS = 256, STACK = 1 << 17;

struct Fiber {
    jmp_buf here;
    ucontext_t begin;
    bool started, ended;
};
static Fiber fibers[MOST_FIBERS];
static jmp_buf scheduler;
static int running;
static void (*kernel_)(void**);
static void** arguments_;

static void yield_to_scheduler() {
    if (!_setjmp(fibers[running].here)) _longjmp(scheduler, 1);
}

static void __syncthreads() {
    yield_to_scheduler();
    threadIdx.x = running;
}

// A fiber is made once and lives for ever: it runs one thread after the other.
static void live() {
    for (;;) {
        kernel_(arguments_);
        fibers[running].ended = true;
        yield_to_scheduler();
    }
}

static void resume(int number) {
    running = number;
    threadIdx.x = number;
    Fiber& fiber = fibers[number];
    if (_setjmp(scheduler)) return;
    if (fiber.started) _longjmp(fiber.here, 1);
    fiber.started = true;
    getcontext(&fiber.begin);
    fiber.begin.uc_stack.ss_sp = malloc(STACK);
    fiber.begin.uc_stack.ss_size = STACK;
    fiber.begin.uc_link = nullptr;
    makecontext(&fiber.begin, live, 0);
    setcontext(&fiber.begin);
}

// 0, or 1 where threads of a block did not meet at a barrier.
static int run_kernel(void (*kernel)(void**), unsigned grid, unsigned block, void** arguments) {
    kernel_ = kernel;
    arguments_ = arguments;
    gridDim.x = grid;
    blockDim.x = block;
    for (blockIdx.x = 0; blockIdx.x < grid; blockIdx.x++) {
        unsigned ended = 0;
        for (unsigned i = 0; i < block; i++) fibers[i].ended = false;
        while (!ended) {
            for (unsigned i = 0; i < block; i++) {
                resume((int)i);
                ended += fibers[i].ended;
            }
            if (ended && ended < block) return 1;
        }
    }
    return 0;
}

static inline unsigned long long atomicMin(unsigned long long* place, unsigned long long value) {
    unsigned long long old = *place;
    if (value < old) *place = value;
    return old;
}

using std::exp;
using std::fabs;
using std::log1p;
using std::tanh;

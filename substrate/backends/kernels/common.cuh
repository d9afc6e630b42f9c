// What all kernels share: types, sums over a block of threads, counter-based noise, and where waves lie.
//
// The text is plain CUDA C++ and is compiled four times, for REAL float or double and PARTS 1 (real waves) or 2
// (envelopes, real and imaginary planes apart). It must be compiled without fused multiply-add: the noise has the bits
// of `substrate/noise/__init__.py`, where a multiply and an add are two roundings.

#ifndef REAL
#define REAL double
#endif
#ifndef PARTS
#define PARTS 1
#endif
#define MOST_THREADS 256  // threads of a block, a power of two

typedef REAL real;
typedef long long i64;
typedef unsigned int u32;
typedef unsigned long long u64;

// Structures are filled by name from Python (`Device.pack`): every field takes eight bytes.
struct Noise {
    u64 seed;            // of all samples
    const u64* seeds;    // one for each sample of this run, or null
    i64 offset;          // index of the first sample in the whole batch
    const double* table; // [512, 5], of the normal quantile
};

// A line of a bundle as one of its ends sees it.
struct End {
    i64 start;     // of its first row in plane 0
    i64 plane;     // numbers from plane to plane
    i64 delay;     // steps
    i64 side;
    i64 channels;
    i64 batch;
};

__device__ inline i64 first_item() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline i64 all_threads() { return (i64)gridDim.x * blockDim.x; }

// Infinity, which plain CUDA C++ has no name for.
__device__ inline double no_end() {
    union { u64 bits; double value; } infinity = {0x7FF0000000000000ull};
    return infinity.value;
}

// A curve through `count` points at rising knots, level beyond them: what NumPy's interp gives.
__device__ inline double curve_value(double x, const double* knots, const double* values, int count) {
    if (!(x > knots[0])) return x == x ? values[0] : x;
    if (x >= knots[count - 1]) return values[count - 1];
    int low = 0, high = count - 1;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        (x >= knots[middle] ? low : high) = middle;
    }
    double slope = (values[low + 1] - values[low]) / (knots[low + 1] - knots[low]);
    return slope * (x - knots[low]) + values[low];
}

// The sum over a block of threads, in an order that depends on nothing but their number, into *target.
__device__ inline void block_sum(double value, double* target) {
    __shared__ double sums[MOST_THREADS];
    sums[threadIdx.x] = value;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if ((int)threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) *target = sums[0];
    __syncthreads();
}

// Word `b % 4` of Philox4x32-10 (Salmon et al., SC11) at the counter that substrate/noise/__init__.py lays out.
__device__ inline u32 random_word(u64 seed, u32 source, i64 step, u32 channel, i64 b) {
    u32 c0 = (u32)((u64)b / 4), c1 = channel, c2 = (u32)step, c3 = source | ((u32)((u64)step >> 32) << 16);
    u32 k0 = (u32)seed, k1 = (u32)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        u64 p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
        u32 n0 = (u32)(p1 >> 32) ^ c1 ^ k0, n2 = (u32)(p0 >> 32) ^ c3 ^ k1;
        c0 = n0;
        c1 = (u32)p1;
        c2 = n2;
        c3 = (u32)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    u32 place = (u32)(b & 3);
    return place == 0 ? c0 : place == 1 ? c1 : place == 2 ? c2 : c3;
}

// The standard normal of a word: the quantile table, operation for operation as in substrate/noise/__init__.py.
__device__ inline double normal_of(u32 word, const double* table) {
    union { double value; i64 bits; } u, t;
    u.value = (double)((i64)(word & 0x7FFFFFFFu) * 2 + 1);
    const double* c = table + 5 * ((u.bits >> 48) - (1023ll << 4));
    t.bits = (u.bits & ((1ll << 48) - 1)) | (1023ll << 52);
    double rest = t.value - 1.03125;
    double x = (((c[4] * rest + c[3]) * rest + c[2]) * rest + c[1]) * rest + c[0];
    return word >> 31 ? -x : x;
}

// The normal that sample b of this run draws.
__device__ inline double normal_at(const Noise& noise, i64 source, i64 step, i64 channel, i64 b) {
    if (noise.seeds) return normal_of(random_word(noise.seeds[b], (u32)source, step, (u32)channel, 0), noise.table);
    return normal_of(random_word(noise.seed, (u32)source, step, (u32)channel, noise.offset + b), noise.table);
}

// Where the wave of step k of a block that begins at `step` lies, for channel c and sample b. A block may cross laps.
__device__ inline i64 cell_of(const End& end, i64 step, i64 c, i64 k, i64 b) {
    i64 lap = (step + k) / end.delay, cell = (step + k) % end.delay;
    return end.start + (end.side ^ (lap & 1)) * end.plane + (c * end.delay + cell) * end.batch + b;
}

// Normals [count, cells] of an array of device cells, or any other.
extern "C" __global__ void fill_normals(const Noise* noise, i64 source, i64 step, i64 count, i64 cells, real* out) {
    for (i64 i = first_item(); i < count * cells; i += all_threads())
        out[i] = (real)normal_at(*noise, source, step, i / cells, i % cells);
}

// Sums of squares, one per block of threads.
extern "C" __global__ void square_sums(const real* wave, i64 count, double* sums) {
    double total = 0.0;
    for (i64 i = first_item(); i < count; i += all_threads()) total += (double)wave[i] * (double)wave[i];
    block_sum(total, sums + blockIdx.x);
}

// Weighted sums of squares of states [parts, states, batch].
extern "C" __global__ void state_energy(const real* memory, const double* weight, i64 states, i64 batch, double* sums) {
    double total = 0.0;
    for (i64 i = first_item(); i < PARTS * states * batch; i += all_threads())
        total += weight[i / batch % states] * (double)memory[i] * (double)memory[i];
    block_sum(total, sums + blockIdx.x);
}

// powers[p] = sum of its stretch of `sums`, from bounds[p, 0] to before bounds[p, 1]: one block of threads each.
extern "C" __global__ void add_up(const double* sums, const i64* bounds, double* powers) {
    double total = 0.0;
    for (i64 i = bounds[2 * blockIdx.x] + threadIdx.x; i < bounds[2 * blockIdx.x + 1]; i += blockDim.x) total += sums[i];
    block_sum(total, powers + blockIdx.x);
}

// ledger[cell[i]] += sum over j of factor[j] * powers[power[j]], j from first[i] to first[i + 1].
extern "C" __global__ void book(
    const double* powers, i64 count, const i64* cell, const i64* first, const i64* power, const double* factor,
    double* ledger) {
    for (i64 i = first_item(); i < count; i += all_threads())
        for (i64 j = first[i]; j < first[i + 1]; j++) ledger[cell[i]] += factor[j] * powers[power[j]];
}

// The clock of a call: the step, and how many steps of the call are done.
extern "C" __global__ void advance_clock(i64* clock, i64 steps) {
    if (first_item() == 0) {
        clock[0] += steps;
        clock[1] += steps;
    }
}

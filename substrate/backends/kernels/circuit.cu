// Clusters of circuits: a small matrix between line ends, in place. A block of threads steps a chunk of clusters for a
// tile of samples. Where one chunk holds all clusters, samples never meet, so that one launch steps many blocks of steps
// and waits for nobody ("own"); otherwise a launch is one block of steps, in which no cluster hears another.

struct Circuit {
    real* arena;       // [PARTS, cells]
    i64 plane;         // cells, from the real to the imaginary part
    i64 batch;
    i64 block;         // steps that no cluster hears another in
    i64 classes;
    const i64* delay;  // [classes], steps
    const i64* stride; // [classes], numbers from plane to plane
    const real* waves; // [PARTS, waveforms, longest, width], what sources feed in
    i64 waveforms;
    i64 width;         // 1, or a number for each sample
    i64 longest;       // steps of a call, at most
    const real* sigma; // [noisy], rms of the white drives
    i64 noisy;
    i64 noise_source;
    real* seen;        // [PARTS, observed, longest, batch], what probes see
    i64 observed;
};

struct Group {
    i64 clusters, ports, states, sources, observed, metered, rows, columns;
    i64 samples;           // 1, or a matrix for each sample
    const i64* base;       // [clusters, ports], where the cells of its line begin
    const i64* end;        // [clusters, ports], 2 * delay class + side
    const double* weight;  // [clusters, ports], power its line takes over power that enters its cells
    const real* matrix;    // [PARTS, unique, rows, columns, samples]
    i64 imaginary;         // numbers from the real to the imaginary parts
    const i64* which;      // [clusters]
    const double* energy;  // [clusters, states]
    const i64* source_row; // [clusters, sources]
    const i64* seen_row;   // [clusters, observed]
    real* memory;          // [PARTS, clusters, states, batch]
};

struct Totals {
    double net, lost, stored;
};

// Of every class: place of the block's first cell at each end, before and after the lap ends, and the steps until then.
__device__ inline void locate_class(const Circuit& net, i64 i, i64 step, i64 steps, i64* where) {
    i64 lap = step / net.delay[i], cell = step % net.delay[i], left = net.delay[i] - cell;
    i64 room = steps < left ? steps : left;
    for (i64 side = 0; side < 2; side++) {
        i64 plane = side ^ (lap & 1);
        where[2 * i + side] = plane * net.stride[i] + cell * net.batch;
        where[2 * net.classes + 2 * i + side] = (plane ^ 1) * net.stride[i] - room * net.batch;
    }
    where[4 * net.classes + i] = room;
}

extern "C" __global__ void locate(const Circuit* net, const i64* clock, i64 steps, i64* where) {
    for (i64 i = first_item(); i < net->classes; i += all_threads()) locate_class(*net, i, clock[0], steps, where);
}

__device__ inline i64 place_of(const Circuit& net, const i64* where, i64 base, i64 end, i64 k, i64 b) {
    i64 begin = k < where[4 * net.classes + end / 2] ? where[end] : where[2 * net.classes + end];
    return base + begin + k * net.batch + b;
}

// What source `row` feeds in at step `at` of the call, which is step `step` of the run.
__device__ __noinline__ real input_at(const Circuit& net, const Noise& noise, i64 row, i64 part, i64 step, i64 at, i64 b) {
    if (row < net.waveforms)
        return net.waves[((part * net.waveforms + row) * net.longest + at) * net.width + (net.width > 1 ? b : 0)];
    i64 place = row - net.waveforms;
    real sigma = net.sigma[place];
    if (sigma == 0) return 0;
    return (real)normal_at(noise, net.noise_source, step, part * net.noisy + place, b) * sigma;
}

__device__ inline void show(const Circuit& net, i64 row, i64 at, i64 b, real re, real im) {
    net.seen[(row * net.longest + at) * net.batch + b] = re;
    if (PARTS == 2) net.seen[((net.observed + row) * net.longest + at) * net.batch + b] = im;
}

// Adds entry * x to re + i im; the entry's imaginary part lies `imaginary` numbers on.
__device__ inline void add_product(const real* entry, i64 imaginary, const real* x, real& re, real& im) {
    re += entry[0] * x[0];
    if (PARTS == 2) {
        re -= entry[imaginary] * x[PARTS - 1];
        im += entry[0] * x[PARTS - 1] + entry[imaginary] * x[0];
    }
}

// Squares of what metered rows see: a, b at the outer and at the line port of ends of lines with hidden waves.
__device__ inline void meter(const Group& g, i64 o, real re, real im, Totals& total) {
    i64 place = o - (g.observed - g.metered);
    if (place < 0) return;
    double square = (double)re * re + (double)im * im, sign = place % 2 ? -1.0 : 1.0;
    total.net -= sign * square;
    if (place % 4 < 2) total.lost += sign * square;
}

// One memoryless cluster of few ports, in one step, for one sample.
template <int PORTS>
__device__ void scatter(
    const Circuit& net, const Noise& noise, const Group& g, const i64* where, i64 c, i64 k, i64 b, i64 step, i64 at,
    Totals& total) {
    i64 places[PORTS];
    real x[PORTS][PARTS], y[PORTS][2];
    real arrived = 0, left = 0;
    const real* matrix = g.matrix + g.which[c] * g.rows * g.columns * g.samples + (g.samples > 1 ? b : 0);
    for (int j = 0; j < PORTS; j++) {
        places[j] = place_of(net, where, g.base[c * PORTS + j], g.end[c * PORTS + j], k, b);
        for (int p = 0; p < PARTS; p++) {
            x[j][p] = net.arena[p * net.plane + places[j]];
            arrived += x[j][p] * x[j][p];
        }
    }
    for (int i = 0; i < PORTS; i++) {
        y[i][0] = y[i][1] = 0;
        for (int j = 0; j < PORTS; j++)
            add_product(matrix + (i * g.columns + j) * g.samples, g.imaginary, x[j], y[i][0], y[i][1]);
    }
    for (i64 u = 0; u < g.sources; u++) {
        real fed[PARTS];
        for (int p = 0; p < PARTS; p++) fed[p] = input_at(net, noise, g.source_row[c * g.sources + u], p, step, at, b);
        for (int i = 0; i < PORTS; i++)
            add_product(matrix + (i * g.columns + PORTS + u) * g.samples, g.imaginary, fed, y[i][0], y[i][1]);
    }
    for (i64 o = 0; o < g.observed; o++) {
        real re = 0, im = 0;
        const real* row = matrix + (PORTS + o) * g.columns * g.samples;
        for (int j = 0; j < PORTS; j++) add_product(row + j * g.samples, g.imaginary, x[j], re, im);
        for (i64 u = 0; u < g.sources; u++) {
            real fed[PARTS];
            for (int p = 0; p < PARTS; p++)
                fed[p] = input_at(net, noise, g.source_row[c * g.sources + u], p, step, at, b);
            add_product(row + (PORTS + u) * g.samples, g.imaginary, fed, re, im);
        }
        show(net, g.seen_row[c * g.observed + o], at, b, re, im);
        meter(g, o, re, im, total);
    }
    double lost = 0.0;
    for (int i = 0; i < PORTS; i++) {
        real square = 0;
        for (int p = 0; p < PARTS; p++) {
            net.arena[p * net.plane + places[i]] = y[i][p];
            square += y[i][p] * y[i][p];
        }
        left += square;
        lost += g.weight[c * PORTS + i] * (double)square;
    }
    total.net += (double)arrived - (double)left - lost;
    total.lost += lost;
}

// One row of a cluster's matrix times what arrives (x, ports then sources), and its states, r-th of n items.
__device__ inline void row_of(
    const Group& g, const real* entry, const real* x, const real* states, u32 r, u32 n, real& re, real& im) {
    real value[PARTS];
    re = im = 0;
    for (i64 j = 0; j < g.columns; j++, entry += g.samples) {
        bool remembered = j >= g.ports && j < g.ports + g.states;
        const real* from = remembered ? states + (j - g.ports) * PARTS * n
                                      : x + (j < g.ports ? j : j - g.states) * PARTS * n;
        for (int p = 0; p < PARTS; p++) value[p] = from[p * n + r];
        add_product(entry, g.imaginary, value, re, im);
    }
}

// A run of clusters with states, or with many ports: all threads of the block gather what arrives, then each takes rows.
__device__ void step_run(
    const Circuit& net, const Noise& noise, const Group& g, const i64* where, i64 first, i64 last, i64 b0, i64 width,
    i64 step, i64 at, i64 steps, real* work, Totals& total) {
    u32 n = (u32)((last - first) * width), inner = (u32)(g.ports + g.sources), states = (u32)g.states;
    i64 memory_plane = g.clusters * g.states * net.batch;
    real *x = work, *s = x + inner * PARTS * n;
    for (u32 i = threadIdx.x; i < states * n; i += blockDim.x) {
        u32 q = i / n, r = i % n;
        i64 c = first + r / (u32)width, b = b0 + r % (u32)width;
        for (int p = 0; p < PARTS; p++) {
            real v = g.memory[p * memory_plane + (c * g.states + q) * net.batch + b];
            s[(q * PARTS + p) * n + r] = v;
            total.stored -= g.energy[c * g.states + q] * (double)v * (double)v;
        }
    }
    for (i64 k = 0; k < steps; k++) {
        for (u32 i = threadIdx.x; i < inner * n; i += blockDim.x) {
            u32 j = i / n, r = i % n;
            i64 c = first + r / (u32)width, b = b0 + r % (u32)width;
            for (int p = 0; p < PARTS; p++) {
                real v;
                if (j < g.ports) {
                    i64 end = c * g.ports + j;
                    v = net.arena[p * net.plane + place_of(net, where, g.base[end], g.end[end], k, b)];
                    total.net += (double)v * (double)v;
                } else {
                    v = input_at(net, noise, g.source_row[c * g.sources + j - g.ports], p, step + k, at + k, b);
                }
                x[(j * PARTS + p) * n + r] = v;
            }
        }
        __syncthreads();
        const real* now = s + (k & 1) * states * PARTS * n;
        real* next = s + ((k + 1) & 1) * states * PARTS * n;
        for (u32 i = threadIdx.x; i < g.rows * n; i += blockDim.x) {
            u32 row = i / n, r = i % n;
            i64 c = first + r / (u32)width, b = b0 + r % (u32)width;
            const real* entry = g.matrix + (g.which[c] * g.rows + row) * g.columns * g.samples;
            real re, im;
            row_of(g, entry + (g.samples > 1 ? b : 0), x, now, r, n, re, im);
            if (row < g.ports) {
                i64 end = c * g.ports + row, place = place_of(net, where, g.base[end], g.end[end], k, b);
                net.arena[place] = re;
                if (PARTS == 2) net.arena[net.plane + place] = im;
                double square = (double)re * (double)re + (double)im * (double)im, lost = g.weight[end] * square;
                total.net -= square + lost;
                total.lost += lost;
            } else if (row < g.ports + states) {
                next[(row - g.ports) * PARTS * n + r] = re;
                if (PARTS == 2) next[((row - g.ports) * PARTS + 1) * n + r] = im;
            } else {
                i64 o = row - g.ports - states;
                show(net, g.seen_row[c * g.observed + o], at + k, b, re, im);
                meter(g, o, re, im, total);
            }
        }
        __syncthreads();
    }
    const real* kept = s + (steps & 1) * states * PARTS * n;
    for (u32 i = threadIdx.x; i < states * n; i += blockDim.x) {
        u32 q = i / n, r = i % n;
        i64 c = first + r / (u32)width, b = b0 + r % (u32)width;
        for (int p = 0; p < PARTS; p++) {
            real v = kept[(q * PARTS + p) * n + r];
            g.memory[p * memory_plane + (c * g.states + q) * net.batch + b] = v;
            total.stored += g.energy[c * g.states + q] * (double)v * (double)v;
        }
    }
    __syncthreads();
}

// A run of memoryless clusters of one to four ports: every cluster, step and sample by itself.
__device__ void scatter_run(
    const Circuit& net, const Noise& noise, const Group& g, const i64* where, const i64* run, i64 b0, i64 width,
    i64 step, i64 at, i64 steps, Totals& total) {
    i64 stop = run[4] < steps ? run[4] : steps;
    if (stop <= run[3]) return;
    u32 each = (u32)((stop - run[3]) * width), items = (u32)(run[2] - run[1]) * each;
    for (u32 i = threadIdx.x; i < items; i += blockDim.x) {
        u32 e = i % each;
        i64 c = run[1] + i / each, k = run[3] + e / (u32)width, b = b0 + e % (u32)width;
        if (g.ports == 1)
            scatter<1>(net, noise, g, where, c, k, b, step + k, at + k, total);
        else if (g.ports == 2)
            scatter<2>(net, noise, g, where, c, k, b, step + k, at + k, total);
        else if (g.ports == 3)
            scatter<3>(net, noise, g, where, c, k, b, step + k, at + k, total);
        else
            scatter<4>(net, noise, g, where, c, k, b, step + k, at + k, total);
    }
}

// runs [*, 5]: group, first cluster, behind the last, first step of the block, behind the last. sums [groups, 3, threads].
extern "C" __global__ void step_clusters(
    const Circuit* net_, const Noise* noise_, const Group* groups, const i64* runs, const i64* first_run, i64 chunks,
    i64 tile, const i64* clock, i64 steps, i64 own, i64* where, real* work, i64 work_size, double* sums) {
    const Circuit& net = *net_;
    i64 tiles = (net.batch + tile - 1) / tile, threads = all_threads(), me = first_item();
    if (own) where += blockIdx.x * 5 * net.classes;
    work += blockIdx.x * work_size;
    for (i64 job = blockIdx.x; job < chunks * tiles; job += gridDim.x) {
        i64 chunk = job / tiles, b0 = job % tiles * tile;
        i64 width = net.batch - b0 < tile ? net.batch - b0 : tile;
        for (i64 done = 0; done < steps; done += net.block) {
            i64 count = steps - done < net.block ? steps - done : net.block;
            if (own) {
                for (i64 i = threadIdx.x; i < net.classes; i += blockDim.x)
                    locate_class(net, i, clock[0] + done, count, where);
                __syncthreads();
            }
            for (i64 r = first_run[chunk]; r < first_run[chunk + 1]; r++) {
                const i64* run = runs + 5 * r;
                const Group& g = groups[run[0]];
                Totals total = {0.0, 0.0, 0.0};
                if (g.states || g.ports > 4)
                    step_run(net, *noise_, g, where, run[1], run[2], b0, width, clock[0] + done, clock[1] + done,
                             count, work, total);
                else
                    scatter_run(net, *noise_, g, where, run, b0, width, clock[0] + done, clock[1] + done, count, total);
                sums[(run[0] * 3 + 0) * threads + me] += total.net;
                sums[(run[0] * 3 + 1) * threads + me] += total.lost;
                sums[(run[0] * 3 + 2) * threads + me] += total.stored;
            }
            if (own) __syncthreads();
        }
    }
}

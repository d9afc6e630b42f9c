// Passes of layered networks: waves of a bundle, [channels, steps, batch], from and into the cells of its lines.
// A steady wave has one step, which holds for all steps of the block; its stride from step to step is zero.

__device__ inline real steady_at(const real* wave, i64 steady, i64 row, i64 k, i64 b, i64 steps, i64 batch) {
    return wave[(steady ? row : row * steps + k) * batch + b];
}

extern "C" __global__ void arrive(const End* end, const real* arena, const i64* clock, i64 steps, real* wave) {
    i64 batch = end->batch, count = end->channels * steps * batch;
    for (i64 i = first_item(); i < count; i += all_threads()) {
        i64 b = i % batch, k = i / batch % steps, c = i / batch / steps;
        wave[i] = arena[cell_of(*end, clock[0], c, k, b)];
    }
}

// One-pole low-pass of a departing wave; its memory is [channels, batch].
extern "C" __global__ void smooth(
    const real* wave, i64 steady, i64 channels, i64 steps, i64 batch, double share, real* memory, real* out) {
    for (i64 i = first_item(); i < channels * batch; i += all_threads()) {
        i64 c = i / batch, b = i % batch;
        real y = memory[i];
        for (i64 k = 0; k < steps; k++) {
            y = (real)(y + share * (steady_at(wave, steady, c, k, b, steps, batch) - y));
            out[(c * steps + k) * batch + b] = y;
        }
        memory[i] = y;
    }
}

// Attenuates a departing wave, adds the noise of its pass, and writes it into the cells it was read from.
// sums [2, blocks]: squares of what departs before the loss, and of what the cells hold.
extern "C" __global__ void depart(
    const End* end, const Noise* noise, const real* wave, i64 steady, double gain, double sigma, i64 source,
    const i64* clock, i64 steps, real* arena, double* sums) {
    i64 batch = end->batch, count = end->channels * steps * batch;
    double sent = 0.0, held = 0.0;
    for (i64 i = first_item(); i < count; i += all_threads()) {
        i64 b = i % batch, k = i / batch % steps, c = i / batch / steps;
        real value = steady_at(wave, steady, c, k, b, steps, batch);
        sent += (double)value * (double)value;
        value *= (real)gain;
        if (sigma > 0.0) value += (real)sigma * (real)normal_at(*noise, source, clock[0] + k, c, b);
        held += (double)value * (double)value;
        arena[cell_of(*end, clock[0], c, k, b)] = value;
    }
    block_sum(sent, sums + blockIdx.x);
    block_sum(held, sums + gridDim.x + blockIdx.x);
}

extern "C" __global__ void add_noise(
    const Noise* noise, double sigma, i64 source, const i64* clock, i64 channels, i64 steps, i64 batch, real* wave) {
    for (i64 i = first_item(); i < channels * steps * batch; i += all_threads()) {
        i64 b = i % batch, k = i / batch % steps, c = i / batch / steps;
        wave[i] += (real)sigma * (real)normal_at(*noise, source, clock[0] + k, c, b);
    }
}

// out = p first + q second + shift[channel]; either wave may be steady, and `second` and `shift` absent.
extern "C" __global__ void combine(
    const real* first, i64 steady, double p, const real* second, i64 still, double q, const real* shift, double r,
    i64 channels, i64 steps, i64 batch, real* out) {
    for (i64 i = first_item(); i < channels * steps * batch; i += all_threads()) {
        i64 b = i % batch, k = i / batch % steps, c = i / batch / steps;
        real value = first ? (real)p * steady_at(first, steady, c, k, b, steps, batch) : (real)0;
        if (second) value += (real)q * steady_at(second, still, c, k, b, steps, batch);
        if (shift) value += (real)r * shift[c];
        out[i] = value;
    }
}

// out = factor * drive scale * wave, or its sum over the steps where `fold`: out is [channels, 1, batch] then.
extern "C" __global__ void scale_error(
    const real* wave, i64 fold, double factor, const double* drive_scale, i64 channels, i64 steps, i64 batch,
    real* out) {
    i64 rows = fold ? channels : channels * steps;
    for (i64 i = first_item(); i < rows * batch; i += all_threads()) {
        real value = 0;
        if (fold)
            for (i64 k = 0; k < steps; k++) value += wave[(i / batch * steps + k) * batch + i % batch];
        else
            value = wave[i];
        out[i] = value * (real)(factor * *drive_scale);
    }
}

// out[row] += factor * sum of the row: one block of threads a row.
extern "C" __global__ void row_sums(const real* wave, i64 width, double factor, real* out) {
    __shared__ double sum;
    double total = 0.0;
    for (i64 i = threadIdx.x; i < width; i += blockDim.x) total += (double)wave[blockIdx.x * width + i];
    block_sum(total, &sum);
    if (threadIdx.x == 0) out[blockIdx.x] += (real)(factor * sum);
}

// The error wave of a cross-entropy load: softmax times the weight of the target, minus the target [channels, batch].
extern "C" __global__ void cross_entropy(
    const real* wave, i64 steady, const real* target, i64 channels, i64 steps, i64 batch, real* out) {
    for (i64 i = first_item(); i < steps * batch; i += all_threads()) {
        i64 k = i / batch, b = i % batch;
        real peak = steady_at(wave, steady, 0, k, b, steps, batch), total = 0, weight = 0;
        for (i64 c = 1; c < channels; c++) {
            real z = steady_at(wave, steady, c, k, b, steps, batch);
            peak = z > peak ? z : peak;
        }
        for (i64 c = 0; c < channels; c++) {
            total += exp(steady_at(wave, steady, c, k, b, steps, batch) - peak);
            weight += target[c * batch + b];
        }
        for (i64 c = 0; c < channels; c++) {
            real share = exp(steady_at(wave, steady, c, k, b, steps, batch) - peak);
            out[(c * steps + k) * batch + b] = share * (weight / total) - target[c * batch + b];
        }
    }
}

// Kinds of activation, as `substrate/backends/cpu_reciprocal_kernels.py` numbers them.
__device__ inline real phi(i64 kind, real v) {
    if (kind == 0) return tanh(v);
    if (kind == 1) return (real)0.5 * ((real)1 + tanh((real)0.5 * v));
    if (kind == 2) return (v > 0 ? v : 0) + log1p(exp(-fabs(v)));
    if (kind == 3) return v;
    return v > 0 ? v : 0;
}

__device__ inline real phi_slope(i64 kind, real v, real h) {
    if (kind == 0) return (real)1 - h * h;
    if (kind == 1) return h * ((real)1 - h);
    if (kind == 2) return (real)0.5 * ((real)1 + tanh((real)0.5 * v));
    if (kind == 3) return 1;
    return v > 0 ? 1 : 0;
}

extern "C" __global__ void activate(const real* v, i64 kind, i64 count, real* out) {
    for (i64 i = first_item(); i < count; i += all_threads()) out[i] = phi(kind, v[i]);
}

// out = phi'(v) p, with phi(v) = h given; v and h may be steady.
extern "C" __global__ void activate_backward(
    const real* v, const real* h, i64 steady, const real* p, i64 still, i64 kind, i64 channels, i64 steps, i64 batch,
    real* out) {
    for (i64 i = first_item(); i < channels * steps * batch; i += all_threads()) {
        i64 b = i % batch, k = i / batch % steps, c = i / batch / steps;
        real slope = phi_slope(
            kind, steady_at(v, steady, c, k, b, steps, batch), steady_at(h, steady, c, k, b, steps, batch));
        out[i] = p ? slope * steady_at(p, still, c, k, b, steps, batch) : slope;
    }
}

// Exchanges a block with what passed `memory` steps earlier: the ring is [channels, memory, batch].
extern "C" __global__ void echo(
    const real* wave, i64 steady, i64 channels, i64 steps, i64 batch, i64 memory, const i64* clock, real* ring,
    real* out) {
    for (i64 i = first_item(); i < channels * steps * batch; i += all_threads()) {
        i64 b = i % batch, k = i / batch % steps, c = i / batch / steps;
        i64 place = (c * memory + (clock[0] + k) % memory) * batch + b;
        real earlier = ring[place];
        ring[place] = steady_at(wave, steady, c, k, b, steps, batch);
        out[i] = earlier;
    }
}

// out = first * second, entry by entry; `second` may be steady.
extern "C" __global__ void multiply(
    const real* first, const real* second, i64 still, i64 channels, i64 steps, i64 batch, real* out) {
    for (i64 i = first_item(); i < channels * steps * batch; i += all_threads()) {
        i64 b = i % batch, k = i / batch % steps, c = i / batch / steps;
        out[i] = first[i] * steady_at(second, still, c, k, b, steps, batch);
    }
}

// Ports that are plain resistors: move by factor * drive and book drive * move.
extern "C" __global__ void move_resistors(real* values, const real* drive, double factor, real* absorbed, i64 count) {
    for (i64 i = first_item(); i < count; i += all_threads()) {
        real move = (real)factor * drive[i];
        values[i] += move;
        absorbed[i] += drive[i] * move;
    }
}

// Takes over the devices' new values and books what the cells absorbed.
extern "C" __global__ void settle_ports(
    const real* later, real* values, const real* drive, real* absorbed, i64 count) {
    for (i64 i = first_item(); i < count; i += all_threads()) {
        absorbed[i] += drive[i] * (later[i] - values[i]);
        values[i] = later[i];
    }
}

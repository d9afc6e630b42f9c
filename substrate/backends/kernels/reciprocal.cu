// Newton solves of the reciprocal family, always inside a bracket, as substrate/backends/cpu_reciprocal_kernels.py.

#define MOST_STEPS 200

struct Curve {
    double h, slope, bend;
};

__device__ __noinline__ Curve curve_at(i64 kind, double v) {
    if (kind == 0) {
        double h = tanh(v), slope = 1.0 - h * h;
        return {h, slope, -2.0 * h * slope};
    }
    if (kind == 1) {
        double h = 0.5 * (1.0 + tanh(0.5 * v)), slope = h * (1.0 - h);
        return {h, slope, slope * (1.0 - 2.0 * h)};
    }
    if (kind == 2) {
        double s = 0.5 * (1.0 + tanh(0.5 * v));
        return {(v > 0.0 ? v : 0.0) + log1p(exp(-fabs(v))), s, s * (1.0 - s)};
    }
    if (kind == 3) return {v, 1.0, 0.0};
    return {v > 0.0 ? v : 0.0, v > 0.0 ? 1.0 : 0.0, 0.0};
}

__device__ __noinline__ double bracketed(i64 kind, double a1, double a2, double ratio, double start, double tolerance) {
    double low = start, high = start;
    for (int way = 0; way < 2; way++) {
        double side = way ? 1.0 : -1.0, v = start, width = 1.0 + fabs(start - a1);
        for (int i = 0; i < MOST_STEPS; i++) {
            Curve c = curve_at(kind, v);
            if (side * (v + ratio * c.slope * (c.h - a2) - a1) >= 0.0) break;
            v += side * width;
            width *= 2.0;
        }
        (way ? high : low) = v;
    }
    double v = start;
    for (int i = 0; i < MOST_STEPS; i++) {
        Curve c = curve_at(kind, v);
        double f = v + ratio * c.slope * (c.h - a2) - a1;
        if (f > 0.0)
            high = v < high ? v : high;
        else
            low = v > low ? v : low;
        if (fabs(f) <= tolerance || high - low <= 2e-16 * (fabs(low) + fabs(high))) return v;
        double df = 1.0 + ratio * (c.slope * c.slope + c.bend * (c.h - a2));
        double step = df > 0.0 ? v - f / df : low - 1.0;
        v = low < step && step < high ? step : 0.5 * (low + high);
    }
    return v;
}

// The root of v + ratio phi'(v) (phi(v) - a2) - a1 by Newton's method from `start`.
__device__ __noinline__ double solved(i64 kind, double a1, double a2, double ratio, double start) {
    if (kind == 4) {  // two straight pieces
        double on = (a1 + ratio * a2) / (1.0 + ratio);
        return on > 0.0 ? on : a1 < 0.0 ? a1 : 0.0;
    }
    double tolerance = 4e-16 * (fabs(a1) + ratio * (1.0 + fabs(a2)) + 1e-300), v = start, before = 1e300;
    for (int i = 0; i < 12; i++) {
        Curve c = curve_at(kind, v);
        double f = v + ratio * c.slope * (c.h - a2) - a1;
        if (fabs(f) <= tolerance) return v;
        double df = 1.0 + ratio * (c.slope * c.slope + c.bend * (c.h - a2));
        if (df <= 0.1 || fabs(f) > 0.5 * before) break;
        before = fabs(f);
        v -= f / df;
    }
    return bracketed(kind, a1, a2, ratio, v, tolerance);
}

// Voltages of an activation between impedances z1 and z2, and both departing waves; `warm` [channels, batch] is the last
// solution.
extern "C" __global__ void solve_activation(
    i64 kind, const real* a1, i64 steady, const real* a2, i64 still, double z1, double z2, i64 channels, i64 steps,
    i64 batch, real* warm, real* back, real* along) {
    double in = sqrt(z1), out = sqrt(z2);
    for (i64 i = first_item(); i < channels * batch; i += all_threads()) {
        i64 c = i / batch, b = i % batch;
        for (i64 k = 0; k < steps; k++) {
            real x = steady_at(a1, steady, c, k, b, steps, batch), y = steady_at(a2, still, c, k, b, steps, batch);
            real wave1 = (real)(2.0 * in) * x, wave2 = (real)(2.0 * out) * y;
            real v = (real)solved(kind, wave1, wave2, z1 / z2, warm[i]);
            warm[i] = v;
            i64 at = (c * steps + k) * batch + b;
            back[at] = v / (real)in - x;
            along[at] = phi(kind, v) / (real)out - y;
        }
    }
}

// out = v / root - a with v = (2 root a + strength target) / (1 + strength): a load of mean squared error.
extern "C" __global__ void solve_mse(
    const real* a, i64 steady, const real* target, double root, double strength, i64 channels, i64 steps, i64 batch,
    real* voltage, real* out) {
    for (i64 i = first_item(); i < channels * steps * batch; i += all_threads()) {
        i64 b = i % batch, k = i / batch % steps, c = i / batch / steps;
        real x = steady_at(a, steady, c, k, b, steps, batch);
        real v = ((real)(2.0 * root) * x + (real)strength * target[c * batch + b]) / (real)(1.0 + strength);
        if (k == steps - 1) voltage[c * batch + b] = v;
        out[i] = v / (real)root - x;
    }
}

// Residual of v + strength (softmax(v) - y) - a with y = target / weight; returns its largest entry.
__device__ __noinline__ double residual(
    i64 channels, Column v, const real* wave, i64 step, double twice_root, const real* target, i64 batch, double weight,
    double strength, Column share, Column f) {
    double peak = v[0], total = 0.0, worst = 0.0;
    for (i64 c = 1; c < channels; c++) peak = larger(peak, v[c]);
    for (i64 c = 0; c < channels; c++) {
        share[c] = exp(v[c] - peak);
        total += share[c];
    }
    for (i64 c = 0; c < channels; c++) {
        share[c] /= total;
        double y = (double)target[c * batch] / weight, a = (double)((real)twice_root * wave[c * step]);
        f[c] = v[c] + strength * (share[c] - y) - a;
        worst = larger(worst, fabs(f[c]));
    }
    return worst;
}

// A cross-entropy load: damped Newton, the softmax Jacobian inverted in closed form. work [5, channels, threads].
extern "C" __global__ void solve_cross_entropy(
    const real* a, i64 steady, const real* target, double root, double beta, i64 channels, i64 steps, i64 batch,
    double* work, real* warm, real* out) {
    i64 threads = all_threads(), me = first_item();
    Column v = {work + me, threads}, trial = {work + me + channels * threads, threads};
    Column share = {work + me + 2 * channels * threads, threads}, f = {work + me + 3 * channels * threads, threads};
    Column step = {work + me + 4 * channels * threads, threads};
    for (i64 b = me; b < batch; b += threads) {
        double sum = 0.0;
        for (i64 c = 0; c < channels; c++) {
            v[c] = warm[c * batch + b];
            sum += target[c * batch + b];
        }
        double strength = beta * sum, weight = sum != 0.0 ? sum : 1.0;
        for (i64 k = 0; k < steps; k++) {
            const real* wave = a + (steady ? 0 : k * batch) + b;
            i64 apart = steady ? batch : steps * batch;
            double largest = 0.0;
            for (i64 c = 0; c < channels; c++) largest = larger(largest, fabs(2.0 * root * (double)wave[c * apart]));
            double worst = residual(
                channels, v, wave, apart, 2.0 * root, target + b, batch, weight, strength, share, f);
            for (int round = 0; round < MOST_STEPS && worst > 1e-15 * (1.0 + largest); round++) {
                double dot = 0.0, rest = 1.0;  // (D - strength s s^T)^-1 f with D = 1 + strength s: Sherman, Morrison
                for (i64 c = 0; c < channels; c++) {
                    double d = 1.0 + strength * share[c];
                    step[c] = f[c] / d;
                    dot += share[c] * step[c];
                    rest -= strength * share[c] * share[c] / d;
                }
                for (i64 c = 0; c < channels; c++)
                    step[c] += strength * dot / rest * share[c] / (1.0 + strength * share[c]);
                double size = 1.0, before = worst;
                for (int i = 0; i < 40; i++) {
                    for (i64 c = 0; c < channels; c++) trial[c] = v[c] - size * step[c];
                    worst = residual(
                        channels, trial, wave, apart, 2.0 * root, target + b, batch, weight, strength, share, f);
                    if (worst < before) break;
                    size *= 0.5;
                }
                if (worst >= before) break;  // rounding is all that is left
                for (i64 c = 0; c < channels; c++) v[c] = trial[c];
            }
            for (i64 c = 0; c < channels; c++) {
                real x = wave[c * apart];
                out[(c * steps + k) * batch + b] = (real)v[c] / (real)root - x;
            }
        }
        for (i64 c = 0; c < channels; c++) warm[c * batch + b] = (real)v[c];
    }
}

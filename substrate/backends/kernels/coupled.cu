// Several nonlinear elements on one linear rest: a damped Newton iteration, seen from other impedances where it does not
// converge. A thread works in its own strided scratch. It follows substrate/backends/cpu_nonlinear_kernel.py, where the
// iteration is explained.

#define ROUNDS 30
#define VIEWS 12
#define FADING 16
#define OHMS 1e13
#define FAR 1e4
#define ENOUGH 1e-9
#define CLOSE 2e-15

struct Nonlinear {
    i64 clusters, ports, states, sources, observed, metered, rows, columns, inner, waves;
    i64 matrix_samples, parameter_samples, impedance_samples;
    const i64* base;
    const i64* end;
    const double* weight;
    const double* matrix;      // [PARTS, unique, rows, columns, samples]
    i64 imaginary;
    const i64* which;
    const double* energy;
    const i64* source_row;
    const i64* seen_row;
    real* memory;              // [PARTS, clusters, states, batch]
    double* charges;           // [clusters, inner, batch], C
    const i64* kinds;          // [inner]
    const double* parameters;  // [clusters, inner, PARAMETERS, samples]
    i64 parameters_each;       // PARAMETERS
    const double* impedances;  // [clusters, inner, samples], ohm
    const double* roots;       // sqrt(impedance * reference power)
    double unit;               // sqrt(reference power)
    double dt;
};

// The cluster and sample a thread works on, and its scratch.
struct Place {
    const Nonlinear* g;
    i64 c, b;
    double* work;
    i64 stride;
    __device__ Column column(i64 from) const { return {work + from * stride, stride}; }
};

// Several elements on one linear rest: waves sent e + g reflected(w), seen from impedances z. `out` has six columns an
// element: wave back, its slope, charge, volts, amperes, ohms of the tangent.
struct Rest {
    i64 n;
    Column e, g, z;
};

#define OUT(out, k, q) (out)[6 * (k) + (q)]

// Solves a x = b in place by elimination with row pivots.
__device__ __noinline__ bool solve_dense(Column a, Column b, i64 n) {
    for (i64 col = 0; col < n; col++) {
        i64 pivot = col;
        for (i64 row = col + 1; row < n; row++)
            if (fabs(a[row * n + col]) > fabs(a[pivot * n + col])) pivot = row;
        if (a[pivot * n + col] == 0.0) return false;
        if (pivot != col) {
            for (i64 j = 0; j < n; j++) {
                double held = a[col * n + j];
                a[col * n + j] = a[pivot * n + j];
                a[pivot * n + j] = held;
            }
            double held = b[col];
            b[col] = b[pivot];
            b[pivot] = held;
        }
        for (i64 row = col + 1; row < n; row++) {
            double factor = a[row * n + col] / a[col * n + col];
            for (i64 j = col; j < n; j++) a[row * n + j] -= factor * a[col * n + j];
            b[row] -= factor * b[col];
        }
    }
    for (i64 row = n - 1; row >= 0; row--) {
        for (i64 j = row + 1; j < n; j++) b[row] -= a[row * n + j] * b[j];
        b[row] /= a[row * n + row];
    }
    return true;
}

__device__ inline const double* parameters_of(const Place& at, i64 k) {
    const Nonlinear& g = *at.g;
    i64 s = at.b % g.parameter_samples;
    return g.parameters + (at.c * g.inner + k) * g.parameters_each * g.parameter_samples + s;
}

__device__ inline double impedance_of(const Place& at, const double* of, i64 k) {
    const Nonlinear& g = *at.g;
    return of[(at.c * g.inner + k) * g.impedance_samples + at.b % g.impedance_samples];
}

__device__ inline double& charge_of(const Place& at, i64 k, i64 batch) {
    return at.g->charges[(at.c * at.g->inner + k) * batch + at.b];
}

// What element k does when `wave` (sqrt(W)) arrives from z.
__device__ __noinline__ bool reflect(const Place& at, i64 k, double z, double wave, double before, Column out, i64 row) {
    double root = sqrt(z);
    Answer a = answer(
        at.g->kinds[k], parameters_of(at, k), at.g->parameter_samples, 1.0, z, 2.0 * root * wave, before, at.g->dt);
    OUT(out, row, 0) = 0.5 * (a.v - z * a.i) / root;
    OUT(out, row, 1) = (a.dv - z * a.di) / (a.dv + z * a.di);
    OUT(out, row, 2) = a.charge;
    OUT(out, row, 3) = a.v;
    OUT(out, row, 4) = a.i;
    OUT(out, row, 5) = a.di > 0.0 ? a.dv / a.di : no_end();
    return a.good;
}

__device__ __noinline__ double mismatch(const Place& at, const Rest& rest, i64 batch, Column w, Column out, Column miss) {
    double largest = 0.0;
    bool good = true;
    for (i64 k = 0; k < rest.n; k++) {
        i64 element = at.g->waves + k;
        good &= reflect(at, element, rest.z[k], w[k], charge_of(at, element, batch), out, k);
    }
    for (i64 k = 0; k < rest.n; k++) {
        miss[k] = w[k] - rest.e[k];
        for (i64 j = 0; j < rest.n; j++) miss[k] -= rest.g[k * rest.n + j] * OUT(out, j, 0);
        good &= is_finite(miss[k]);
        largest = larger(largest, fabs(miss[k]));
    }
    return good ? largest : no_end();
}

// Damped Newton in the waves w that reach the elements; `spare` holds 3 n + n^2 + 6 n numbers.
__device__ __noinline__ bool newton(const Place& at, const Rest& rest, i64 batch, Column w, Column out, i64 spare) {
    i64 n = rest.n;
    Column trial = at.column(spare), miss = at.column(spare + n), tried = at.column(spare + 2 * n);
    Column jacobian = at.column(spare + 3 * n), other = at.column(spare + 3 * n + n * n);
    double size = mismatch(at, rest, batch, w, out, miss);
    for (int round = 0; round < ROUNDS; round++) {
        double scale = 1e-300;
        for (i64 k = 0; k < n; k++) scale = larger(scale, larger(fabs(rest.e[k]), larger(fabs(w[k]), fabs(OUT(out, k, 0)))));
        if (!is_finite(size + scale)) return false;
        if (size <= CLOSE * n * scale) return true;
        for (i64 k = 0; k < n; k++) {
            for (i64 j = 0; j < n; j++)
                jacobian[k * n + j] = (j == k ? 1.0 : 0.0) - rest.g[k * n + j] * OUT(out, j, 1);
            trial[k] = miss[k];
        }
        bool better = solve_dense(jacobian, trial, n);
        double length = 1.0;
        while (better && length > 0.1) {
            for (i64 k = 0; k < n; k++) tried[k] = w[k] - length * trial[k];
            if (mismatch(at, rest, batch, tried, other, jacobian) < (1.0 - 0.3 * length) * size) break;
            length *= 0.5;
        }
        if (!(better && length > 0.1)) {
            if (size <= 3e2 * CLOSE * n * scale) return true;  // as close as rounding lets it
            for (i64 k = 0; k < n; k++) tried[k] = w[k] - 0.5 * miss[k];
        }
        for (i64 k = 0; k < n; k++) w[k] = tried[k];
        size = mismatch(at, rest, batch, w, out, miss);
    }
    return false;
}

// The same rest and waves at the impedances in `to.z`, into `to`; conductances beside the elements count to the rest.
__device__ __noinline__ bool seen_from(
    const Place& at, const Rest& rest, const Rest& to, double shunt, Column w, Column out, i64 spare) {
    i64 n = rest.n;
    Column left = at.column(spare), copy = at.column(spare + n * n);
    Column back = at.column(spare + 2 * n * n), column = at.column(spare + 3 * n * n);
    for (i64 k = 0; k < n; k++) {
        for (i64 j = 0; j < n; j++) {
            double own = j == k ? 1.0 : 0.0, g = rest.g[k * n + j], root = sqrt(rest.z[j]);
            double ampere = (own + g) * root, volt = (own - g) / root + shunt / rest.z[j] * ampere;
            double to_root = sqrt(to.z[j]);
            left[k * n + j] = copy[k * n + j] = volt * to_root + ampere / to_root;
            back[k * n + j] = ampere / to_root - volt * to_root;
        }
        w[k] = 0.5 * (OUT(out, k, 3) + to.z[k] * OUT(out, k, 4)) / sqrt(to.z[k]);
    }
    for (i64 k = 0; k < n; k++) column[k] = 2.0 * rest.e[k];
    bool good = solve_dense(copy, column, n);
    for (i64 k = 0; k < n; k++) to.e[k] = column[k];
    for (i64 j = 0; j < n; j++) {
        for (i64 i = 0; i < n * n; i++) copy[i] = left[i];
        for (i64 k = 0; k < n; k++) column[k] = back[k * n + j];
        good &= solve_dense(copy, column, n);
        for (i64 k = 0; k < n; k++) to.g[k * n + j] = column[k];
    }
    return good;
}

// Keeps in `best` the voltages and currents that fit the rest best; returns by how much they miss it.
__device__ __noinline__ double closer(const Rest& rest, Column out, Column best, double closest, double bound) {
    double largest = 0.0, scale = 1e-300;
    for (i64 k = 0; k < rest.n; k++) {
        OUT(out, k, 1) = 0.5 * (OUT(out, k, 3) + rest.z[k] * OUT(out, k, 4)) / sqrt(rest.z[k]);
        OUT(out, k, 0) = 0.5 * (OUT(out, k, 3) - rest.z[k] * OUT(out, k, 4)) / sqrt(rest.z[k]);
    }
    for (i64 k = 0; k < rest.n; k++) {
        double miss = OUT(out, k, 1) - rest.e[k];
        for (i64 j = 0; j < rest.n; j++) miss -= rest.g[k * rest.n + j] * OUT(out, j, 0);
        if (!is_finite(miss)) return closest;
        largest = larger(largest, fabs(miss));
        scale = larger(scale, larger(fabs(rest.e[k]), larger(fabs(OUT(out, k, 0)), fabs(OUT(out, k, 1)))));
    }
    double gap = largest / scale * larger(1.0, scale / bound);
    if (!(gap < closest)) return closest;
    for (i64 i = 0; i < 6 * rest.n; i++) best[i] = out[i];
    return gap;
}

// Several elements on the rest e + g b in `base` (in units of amplitude); leaves their waves and charges in `best`.
__device__ __noinline__ bool together(const Place& at, const Rest& base, i64 batch, Column best, i64 spare) {
    i64 n = base.n;
    Column out = at.column(spare), w = at.column(spare + 6 * n);
    spare += 7 * n;
    Rest rests[2];
    for (int i = 0; i < 2; i++) {
        rests[i] = {n, at.column(spare), at.column(spare + n), at.column(spare + n + n * n)};
        spare += 2 * n + n * n;
    }
    for (i64 k = 0; k < n; k++) {
        base.z[k] = impedance_of(at, at.g->impedances, at.g->waves + k);
        base.e[k] *= at.g->unit;
        w[k] = base.e[k];
    }
    for (i64 i = 0; i < 6 * n; i++) best[i] = out[i] = 0.0;
    double closest = no_end(), bound = no_end();
    const Rest* rest = &base;
    for (int view = 0; view < VIEWS + FADING; view++) {
        newton(at, *rest, batch, w, out, spare);
        if (view == 0) {
            double size = 1e-300;
            for (i64 k = 0; k < n; k++) {
                double wave = 0.5 * (fabs(OUT(out, k, 3)) + base.z[k] * fabs(OUT(out, k, 4))) / sqrt(base.z[k]);
                size = larger(size, larger(fabs(base.e[k]), is_finite(wave) ? wave : 0.0));
            }
            bound = FAR * size;
        }
        closest = closer(base, out, best, closest, bound);
        if (closest <= 3e2 * CLOSE * n) break;
        Rest* to = rest == &rests[0] ? &rests[1] : &rests[0];
        bool good;
        if (view < VIEWS - 1) {
            for (i64 k = 0; k < n; k++) {
                double z = rest->z[k] * smaller(larger(OUT(out, k, 5) / rest->z[k], 1e-4), 1e4);
                to->z[k] = smaller(larger(z, 1e-9), OHMS);
            }
            good = seen_from(at, *rest, *to, 0.0, w, out, spare);
        } else {
            for (i64 k = 0; k < n; k++) to->z[k] = base.z[k];
            good = seen_from(at, base, *to, pow(10.0, (double)(VIEWS - 1 - view)), w, out, spare);
            if (view == VIEWS - 1)
                for (i64 k = 0; k < n; k++) w[k] = to->e[k];
        }
        rest = to;
        if (!good) break;
    }
    double sum = 0.0;
    for (i64 k = 0; k < n; k++) {
        for (i64 q = 0; q < 5; q++) sum += OUT(best, k, q);
        OUT(best, k, 0) /= at.g->unit;
    }
    return closest <= ENOUGH && is_finite(sum);
}


// The selective scan and its gradient for CPUs: one sequence, one group of channels at a time.
//
// Channels are independent, so a group of them runs through all time steps with its state in
// registers and the first-level cache. The backward pass starts from the states kept at chunk
// borders, recomputes one chunk's states and decays, and goes back through it.
//
// Uses GCC's vector extension, which Clang supports too: the compiler maps a Vec to the
// machine's vectors. Axes and layouts are those of scan.py, batch first:
// u, delta, y (b, l, d); A (n, d); B, C (b, l, n); states (b, n, d); borders (b, l / T, n, d).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace selective_scan {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;  // SSE2, NEON
#endif
constexpr int kVectors = 4;                // vectors side by side: hides the latency of exp
constexpr int kGroup = kLanes * kVectors;  // channels in a group

typedef float Vec __attribute__((vector_size(kLanes * sizeof(float))));
typedef int32_t IntVec __attribute__((vector_size(kLanes * sizeof(float))));

struct Sizes {
  int64_t b, l, d, n, chunk;
  int64_t chunks() const { return (l + chunk - 1) / chunk; }
};

// exp to within 2 units in the last place. Below -87 it is exp(-87) = 1.6e-38, so that no
// result is denormal. Range reduction by ln 2 in two parts; polynomial from Cephes' expf.
inline Vec Exp(Vec x) {
  x = x < -87.0f ? Vec{} - 87.0f : x;
  x = x > 88.0f ? Vec{} + 88.0f : x;
  const float round_to_integer = 12582912.0f;  // 1.5 * 2^23: the integer lands in the low bits
  const Vec shifted = x * 1.44269504f + round_to_integer;
  const Vec k = shifted - round_to_integer;
  const Vec r = (x - k * 0.693145752f) - k * 1.42860677e-6f;
  Vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return (Vec)((IntVec)p + ((IntVec)shifted << 23));
}

inline float Sum(Vec v) {
  typedef float Quad __attribute__((vector_size(4 * sizeof(float))));
  Quad quads[kLanes / 4];
  std::memcpy(quads, &v, sizeof v);
  for (int i = 1; i < kLanes / 4; i++) quads[0] += quads[i];
  return (quads[0][0] + quads[0][1]) + (quads[0][2] + quads[0][3]);
}

// Reads and writes a group's slice of a row of d floats. Past the end of the row it reads zeros
// and writes nothing.
class Group {
 public:
  Group(int64_t first, int64_t d) : first_(first), width_(std::min<int64_t>(kGroup, d - first)) {}

  Vec Load(const float* row, int v) const {
    Vec out{};
    if (Count(v) == kLanes) {
      std::memcpy(&out, row + first_ + v * kLanes, sizeof out);
    } else {
      std::memcpy(&out, row + first_ + v * kLanes, Count(v) * sizeof(float));
    }
    return out;
  }

  void Store(float* row, int v, Vec value) const {
    if (Count(v) == kLanes) {
      std::memcpy(row + first_ + v * kLanes, &value, sizeof value);
    } else {
      std::memcpy(row + first_ + v * kLanes, &value, Count(v) * sizeof(float));
    }
  }

  void LoadRows(const float* rows, int64_t n, int64_t d, Vec* out) const {
    for (int64_t k = 0; k < n; k++)
      for (int v = 0; v < kVectors; v++) out[k * kVectors + v] = Load(rows + k * d, v);
  }

  void StoreRows(float* rows, int64_t n, int64_t d, const Vec* values) const {
    for (int64_t k = 0; k < n; k++)
      for (int v = 0; v < kVectors; v++) Store(rows + k * d, v, values[k * kVectors + v]);
  }

 private:
  int64_t Count(int v) const {
    return std::clamp<int64_t>(width_ - v * kLanes, 0, kLanes);
  }
  int64_t first_, width_;
};

struct Inputs {
  const float *u, *delta, *A, *B, *C;
};

// Sequence i, channels from `first`. Writes y, last_state and, for Backward, borders.
inline void Forward(const Sizes& s, int64_t i, int64_t first, const Inputs& in,
                    const float* initial_state, float* y, float* last_state, float* borders) {
  const Group group(first, s.d);
  const int64_t nd = s.n * s.d;
  std::vector<Vec> A(s.n * kVectors), h(s.n * kVectors);
  group.LoadRows(in.A, s.n, s.d, A.data());
  group.LoadRows(initial_state + i * nd, s.n, s.d, h.data());
  for (int64_t t = 0; t < s.l; t++) {
    if (t % s.chunk == 0)
      group.StoreRows(borders + (i * s.chunks() + t / s.chunk) * nd, s.n, s.d, h.data());
    const int64_t row = i * s.l + t;
    Vec delta[kVectors], x[kVectors], out[kVectors];
    for (int v = 0; v < kVectors; v++) {
      delta[v] = group.Load(in.delta + row * s.d, v);
      x[v] = delta[v] * group.Load(in.u + row * s.d, v);
      out[v] = Vec{};
    }
    for (int64_t k = 0; k < s.n; k++) {
      const float B = in.B[row * s.n + k], C = in.C[row * s.n + k];
      for (int v = 0; v < kVectors; v++) {
        Vec& state = h[k * kVectors + v];
        state = Exp(delta[v] * A[k * kVectors + v]) * state + x[v] * B;
        out[v] += state * C;
      }
    }
    for (int v = 0; v < kVectors; v++) group.Store(y + row * s.d, v, out[v]);
  }
  group.StoreRows(last_state + i * nd, s.n, s.d, h.data());
}

struct Gradients {
  float *u, *delta, *A, *B, *C, *initial_state;
};

// Sequence i, channels from `first`. Adds to the gradients of A, B and C, which sum over
// sequences or channels, and writes those of u, delta and initial_state.
inline void Backward(const Sizes& s, int64_t i, int64_t first, const Inputs& in,
                     const float* borders, const float* dy, const float* dlast_state,
                     const Gradients& out) {
  const Group group(first, s.d);
  const int64_t nd = s.n * s.d, size = s.n * kVectors;
  std::vector<Vec> A(size), dA(size, Vec{}), g(size);  // g: the gradient of the state
  std::vector<Vec> states((s.chunk + 1) * size), decays(s.chunk * size);
  group.LoadRows(in.A, s.n, s.d, A.data());
  group.LoadRows(dlast_state + i * nd, s.n, s.d, g.data());
  for (int64_t q = s.chunks() - 1; q >= 0; q--) {
    const int64_t start = q * s.chunk, steps = std::min(s.chunk, s.l - start);
    group.LoadRows(borders + (i * s.chunks() + q) * nd, s.n, s.d, states.data());
    for (int64_t j = 0; j < steps; j++) {
      const int64_t row = i * s.l + start + j;
      Vec *decay = &decays[j * size], *h = &states[j * size], *next = h + size;
      Vec delta[kVectors], x[kVectors];
      for (int v = 0; v < kVectors; v++) {
        delta[v] = group.Load(in.delta + row * s.d, v);
        x[v] = delta[v] * group.Load(in.u + row * s.d, v);
      }
      for (int64_t k = 0; k < s.n; k++) {
        const float B = in.B[row * s.n + k];
        for (int v = 0; v < kVectors; v++) {
          const int64_t at = k * kVectors + v;
          decay[at] = Exp(delta[v] * A[at]);
          next[at] = decay[at] * h[at] + x[v] * B;
        }
      }
    }
    for (int64_t j = steps - 1; j >= 0; j--) {
      const int64_t row = i * s.l + start + j;
      const Vec *decay = &decays[j * size], *before = &states[j * size], *h = before + size;
      Vec u[kVectors], delta[kVectors], dy_t[kVectors], gB[kVectors], ddelta[kVectors];
      for (int v = 0; v < kVectors; v++) {
        u[v] = group.Load(in.u + row * s.d, v);
        delta[v] = group.Load(in.delta + row * s.d, v);
        dy_t[v] = group.Load(dy + row * s.d, v);
        gB[v] = ddelta[v] = Vec{};
      }
      for (int64_t k = 0; k < s.n; k++) {
        const float B = in.B[row * s.n + k], C = in.C[row * s.n + k];
        Vec dB{}, dC{};
        for (int v = 0; v < kVectors; v++) {
          const int64_t at = k * kVectors + v;
          dC += h[at] * dy_t[v];
          Vec grad = g[at] + dy_t[v] * C;
          dB += grad * (delta[v] * u[v]);
          gB[v] += grad * B;
          grad *= decay[at];  // from here on the gradient of the previous state
          g[at] = grad;
          const Vec exponent = grad * before[at];  // the gradient of delta A
          ddelta[v] += exponent * A[at];
          dA[at] += exponent * delta[v];
        }
        out.B[row * s.n + k] += Sum(dB);
        out.C[row * s.n + k] += Sum(dC);
      }
      for (int v = 0; v < kVectors; v++) {
        group.Store(out.u + row * s.d, v, gB[v] * delta[v]);
        group.Store(out.delta + row * s.d, v, ddelta[v] + gB[v] * u[v]);
      }
    }
  }
  group.StoreRows(out.initial_state + i * nd, s.n, s.d, g.data());
  for (int64_t k = 0; k < s.n; k++)
    for (int v = 0; v < kVectors; v++)
      group.Store(out.A + k * s.d, v, group.Load(out.A + k * s.d, v) + dA[k * kVectors + v]);
}

}  // namespace selective_scan

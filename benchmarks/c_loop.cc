// The scan as a plain C++ program on all cores: the machine's limit.
//
// The loops are those of mamba_model/native/selective_scan.h, without TensorFlow and in parallel
// by OpenMP. Layouts are that header's: A is (n, d), states are (b, n, d).

#include <vector>

#include "../mamba_model/native/selective_scan.h"

using namespace selective_scan;

extern "C" {

// borders: an array (b, ceil(l / chunk), n, d).
void scan_forward(int64_t b, int64_t l, int64_t d, int64_t n, int64_t chunk, const float* u,
                  const float* delta, const float* A, const float* B, const float* C,
                  const float* initial_state, float* y, float* last_state, float* borders) {
  const Sizes s{b, l, d, n, chunk};
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (int64_t i = 0; i < b; i++)
    for (int64_t first = 0; first < d; first += kGroup)
      Forward(s, i, first, {u, delta, A, B, C}, initial_state, y, last_state, borders);
}

void scan_backward(int64_t b, int64_t l, int64_t d, int64_t n, int64_t chunk, const float* u,
                   const float* delta, const float* A, const float* B, const float* C,
                   const float* borders, const float* dy, const float* dlast_state, float* du,
                   float* ddelta, float* dA, float* dB, float* dC, float* dinitial_state) {
  const Sizes s{b, l, d, n, chunk};
  std::fill_n(dA, n * d, 0.0f);
  std::fill_n(dB, b * l * n, 0.0f);
  std::fill_n(dC, b * l * n, 0.0f);
#pragma omp parallel
  {
    // These are sums over sequences or channels: each thread first computes its own sums.
    std::vector<float> A_part(n * d), B_part(b * l * n), C_part(b * l * n);
#pragma omp for collapse(2) schedule(dynamic)
    for (int64_t i = 0; i < b; i++)
      for (int64_t first = 0; first < d; first += kGroup)
        Backward(s, i, first, {u, delta, A, B, C}, borders, dy, dlast_state,
                 {du, ddelta, A_part.data(), B_part.data(), C_part.data(), dinitial_state});
#pragma omp critical
    {
      for (int64_t k = 0; k < n * d; k++) dA[k] += A_part[k];
      for (int64_t k = 0; k < b * l * n; k++) dB[k] += B_part[k], dC[k] += C_part[k];
    }
  }
}

}  // extern "C"

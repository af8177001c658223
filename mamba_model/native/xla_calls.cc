// The scan's two passes as XLA custom calls, which native_scan.py adds to a graph.
//
// A call runs sequentially, as a training step runs several shards of a batch in parallel.
// Its sizes come as text, "b,l,d,n,chunk". Operands and results are in the order of the
// arguments in selective_scan.h; XLA has checked their shapes.

#include <cstdio>
#include <string>

#include "selective_scan.h"
#include "xla/service/custom_call_target_registry.h"

namespace {

using namespace selective_scan;

Sizes Parse(const char* text, size_t length) {
  long long b = 0, l = 0, d = 0, n = 0, chunk = 1;
  std::sscanf(std::string(text, length).c_str(), "%lld,%lld,%lld,%lld,%lld", &b, &l, &d, &n,
              &chunk);
  return {b, l, d, n, chunk};
}

template <typename Job>
void ForEachGroup(const Sizes& s, Job job) {
  for (int64_t i = 0; i < s.b; i++)
    for (int64_t first = 0; first < s.d; first += kGroup) job(i, first);
}

// Operands u, delta, A, B, C, initial_state; results y, last_state, borders.
void ForwardCall(void** out, const void** in, const char* text, size_t length, void*) {
  const Sizes s = Parse(text, length);
  const auto x = reinterpret_cast<const float**>(in);
  const auto y = reinterpret_cast<float**>(out);
  ForEachGroup(s, [&](int64_t i, int64_t first) {
    Forward(s, i, first, {x[0], x[1], x[2], x[3], x[4]}, x[5], y[0], y[1], y[2]);
  });
}

// Operands u, delta, A, B, C, borders, dy, dlast_state; results the gradients of u, delta, A,
// B, C, initial_state.
void BackwardCall(void** out, const void** in, const char* text, size_t length, void*) {
  const Sizes s = Parse(text, length);
  const auto x = reinterpret_cast<const float**>(in);
  const auto y = reinterpret_cast<float**>(out);
  std::fill_n(y[2], s.n * s.d, 0.0f);
  std::fill_n(y[3], s.b * s.l * s.n, 0.0f);
  std::fill_n(y[4], s.b * s.l * s.n, 0.0f);
  ForEachGroup(s, [&](int64_t i, int64_t first) {
    Backward(s, i, first, {x[0], x[1], x[2], x[3], x[4]}, x[5], x[6], x[7],
             {y[0], y[1], y[2], y[3], y[4], y[5]});
  });
}

}  // namespace

XLA_REGISTER_CUSTOM_CALL_TARGET_WITH_SYM("tf_mamba_scan_forward", ForwardCall, "Host");
XLA_REGISTER_CUSTOM_CALL_TARGET_WITH_SYM("tf_mamba_scan_backward", BackwardCall, "Host");

#include "controller/report/run_report.h"

namespace holdfast::report {

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::held:
      return "held";
    case Verdict::breached:
      return "breached";
    case Verdict::not_injected:
      return "not-injected";
    case Verdict::inconclusive:
      return "inconclusive";
    case Verdict::aborted:
      return "aborted";
    case Verdict::dirty:
      return "dirty";
  }
  return "?";
}

int exit_code(Verdict verdict) {
  switch (verdict) {
    case Verdict::held:
      return 0;
    case Verdict::breached:
      return 1;
    case Verdict::not_injected:
      return 3;
    case Verdict::inconclusive:
      return 4;
    case Verdict::aborted:
      return 5;
    case Verdict::dirty:
      return 6;
  }
  return 4;
}

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::pending:
      return "pending";
    case Phase::preflight:
      return "preflight";
    case Phase::baseline:
      return "baseline";
    case Phase::injecting:
      return "injecting";
    case Phase::recovering:
      return "recovering";
    case Phase::settled:
      return "settled";
  }
  return "?";
}

}  // namespace holdfast::report

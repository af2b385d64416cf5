// How an examination of a node is shown. Pure functions of it.
#pragma once

#include <string>

#include "agent/doctor.h"

namespace holdfast::cli {

// One line for each finding, what is not ok explained below it, the verdict last. At most 80
// columns.
std::string doctor_table(const agent::Examination& examination, bool colour);

// One JSON object, schema "holdfast.doctor/v1".
std::string doctor_json(const agent::Examination& examination, const std::string& kernel_release);

}  // namespace holdfast::cli

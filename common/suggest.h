// "Did you mean": the accepted word that is nearest to what was written.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// By edit distance with transpositions; empty where nothing is near enough to be a slip.
std::optional<std::string> suggest(std::string_view word, const std::vector<std::string>& accepted);

}  // namespace holdfast

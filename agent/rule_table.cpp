#include "agent/rule_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

#include "agent/prefix.h"

namespace holdfast::agent {
namespace {

void merge(hf_bits& into, const hf_bits& from) {
  for (int i = 0; i < HF_WORDS; ++i) {
    into.word[i] |= from.word[i];
  }
}

using Address = std::array<std::uint8_t, 16>;

// The first `length` bits; 0 to 128.
Address masked(Address address, int length) {
  for (int i = 0; i < 16; ++i) {
    const int kept = std::clamp(length - 8 * i, 0, 8);
    address[i] = static_cast<std::uint8_t>(address[i] & (0xff << (8 - kept)));
  }
  return address;
}

struct PrefixEntry {
  plan::Prefix prefix;
  hf_bits bits{};
};

// A longest-prefix match finds one entry, so each entry carries the rules of those around it too.
// They are looked up, one for each length that occurs: plans with 100,000 prefixes are compiled in
// no time.
void add_prefixes(const std::vector<PrefixEntry>& entries, TableImage& image) {
  std::map<int, std::map<Address, hf_bits>> by_length;
  for (const PrefixEntry& entry : entries) {
    const int length = entry.prefix.length;
    merge(by_length[length][masked(entry.prefix.address, length)], entry.bits);
  }
  // An IPv6 prefix around the place where IPv4 is mapped to must not be found for IPv4: an entry
  // there, of no rule if need be, is the longer match.
  const bool around_ipv4 = std::ranges::any_of(by_length, [](const auto& entry) {
    return entry.first < kIpv4PrefixLength &&
           entry.second.contains(masked(kIpv4Prefix, entry.first));
  });
  if (around_ipv4) {
    by_length[kIpv4PrefixLength].try_emplace(kIpv4Prefix);
  }
  for (const auto& [length, same_length] : by_length) {
    for (const auto& [address, own_bits] : same_length) {
      const bool ipv4 = length >= kIpv4PrefixLength && is_ipv4(address.data());
      hf_prefix_key key{.prefix_length = static_cast<__u32>(length), .address = {}};
      std::copy(address.begin(), address.end(), key.address.byte);
      hf_bits bits = own_bits;
      for (auto outer = by_length.lower_bound(ipv4 ? kIpv4PrefixLength : 0); outer->first < length;
           ++outer) {
        const auto around = outer->second.find(masked(address, outer->first));
        if (around != outer->second.end()) {
          merge(bits, around->second);
        }
      }
      image.prefixes.emplace_back(key, bits);
    }
  }
}

void add_names(const std::map<std::string, hf_name_value>& names, TableImage& image) {
  for (const auto& [reversed, value] : names) {
    hf_name_key key{.prefix_length = static_cast<__u32>(reversed.size() * 8), .reversed = {}};
    std::memcpy(key.reversed, reversed.data(), reversed.size());
    hf_name_value whole = value;
    whole.length = static_cast<__u32>(reversed.size());
    for (const auto& [outer, outer_value] : names) {
      if (reversed.starts_with(outer)) {
        merge(whole.zone, outer_value.zone);
      }
    }
    image.names.emplace_back(key, whole);
  }
}

void add_ports(const std::vector<plan::PortRange>& ranges, std::size_t rule,
               std::map<std::uint16_t, hf_bits>& table, hf_bits& any) {
  if (ranges.empty()) {
    set_bit(any, rule);
  }
  for (const plan::PortRange& range : ranges) {
    for (unsigned port = range.first; port <= range.last; ++port) {
      set_bit(table[static_cast<std::uint16_t>(port)], rule);
    }
  }
}

void add_protocol(plan::Protocol protocol, std::size_t rule, hf_control& control) {
  const auto admit = [&](int protocol_class) { set_bit(control.protocol[protocol_class], rule); };
  switch (protocol) {
    case plan::Protocol::any:
      for (int i = 0; i < HF_PROTOCOLS; ++i) {
        admit(i);
      }
      break;
    case plan::Protocol::tcp:
      admit(HF_TCP);
      break;
    case plan::Protocol::udp:
      admit(HF_UDP);
      break;
    case plan::Protocol::icmp:
      admit(HF_ICMP);
      break;
  }
}

}  // namespace

Result<std::string> reversed_wire_name(const std::string& name) {
  if (name.empty()) {
    return fail(ErrorKind::usage, "a DNS name is empty", "the root is written \".\"");
  }
  std::string wire;
  for (std::size_t start = 0; name != "." && start < name.size();) {
    const std::size_t dot = std::min(name.find('.', start), name.size());
    const std::size_t length = dot - start;
    if (length == 0 || length > 63) {
      return fail(ErrorKind::usage, fmt::format("\"{}\" has a label of {} octets", name, length),
                  "labels have 1 to 63 octets (RFC 1035, 2.3.4)");
    }
    wire.push_back(static_cast<char>(length));
    std::transform(name.begin() + static_cast<std::ptrdiff_t>(start),
                   name.begin() + static_cast<std::ptrdiff_t>(dot), std::back_inserter(wire),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    start = dot + 1;
  }
  wire.push_back('\0');
  if (wire.size() > 255) {
    return fail(ErrorKind::usage, fmt::format("\"{}\" is longer than a DNS name can be", name),
                "at most 253 characters (RFC 1035, 2.3.4)");
  }
  std::reverse(wire.begin(), wire.end());
  return wire;
}

Result<TableImage> build_table(const std::vector<RuleSpec>& rules) {
  if (rules.size() > HF_MAX_RULES) {
    return fail(ErrorKind::usage,
                fmt::format("{} actions on one network namespace; at most {} fit", rules.size(),
                            HF_MAX_RULES),
                "put several addresses, ports or names into one action: they cost nothing more");
  }
  TableImage image;
  hf_control& control = image.control;
  std::map<Address, hf_bits> singles;
  std::vector<PrefixEntry> prefixes;
  std::map<std::string, hf_name_value> names;

  for (std::size_t i = 0; i < rules.size(); ++i) {
    const RuleSpec& spec = rules[i];
    control.rules[i] = spec.rule;
    image.directions[HF_TO] |= spec.match.direction != plan::Direction::from;
    image.directions[HF_FROM] |= spec.match.direction != plan::Direction::to;
    image.config.kinds |= 1U << spec.rule.kind;
    set_bit(control.of_kind[spec.rule.kind], i);
    if (spec.line) {
      image.line.emplace(i, *spec.line);
    }
    if (spec.match.addresses.empty()) {
      set_bit(control.any_address, i);
    }
    for (const plan::Prefix& prefix : spec.match.addresses) {
      if (prefix.is_single()) {
        set_bit(singles[prefix.address], i);
      } else {
        prefixes.push_back({prefix, {}});
        set_bit(prefixes.back().bits, i);
      }
    }
    add_protocol(spec.match.protocol, i, control);
    add_ports(spec.match.ports, i, image.remote_ports, control.any_remote_port);
    add_ports(spec.match.local_ports, i, image.local_ports, control.any_local_port);
    if (spec.interfaces.empty()) {
      set_bit(control.any_interface, i);
    }
    for (const std::uint32_t ifindex : spec.interfaces) {
      set_bit(image.interfaces[ifindex], i);
    }
    for (const NameMatch& match : spec.names) {
      auto reversed = reversed_wire_name(match.name);
      if (!reversed) {
        return std::unexpected(reversed.error().with_context(spec.action));
      }
      hf_name_value& value = names[*reversed];
      set_bit(match.and_everything_below ? value.zone : value.exact, i);
    }
  }
  for (const auto& [address, bits] : singles) {
    hf_address key{};
    std::copy(address.begin(), address.end(), key.byte);
    image.addresses.emplace_back(key, bits);
  }
  add_prefixes(prefixes, image);
  add_names(names, image);
  image.config.rules = static_cast<__u32>(rules.size());
  image.config.words = static_cast<__u32>(std::max<std::size_t>((rules.size() + 63) / 64, 1));
  image.config.use_addresses = !image.addresses.empty();
  image.config.use_prefixes = !image.prefixes.empty();
  image.config.use_remote_ports = !image.remote_ports.empty();
  image.config.use_local_ports = !image.local_ports.empty();
  image.config.use_interfaces = !image.interfaces.empty();
  image.config.use_draw_state = std::ranges::any_of(
      rules, [](const RuleSpec& spec) { return spec.rule.draw_how != HF_DRAW_RANDOM; });
  image.config.use_syn = std::ranges::any_of(
      rules, [](const RuleSpec& spec) { return spec.rule.connections == HF_NEW_CONNECTIONS; });
  image.config.use_existing = std::ranges::any_of(
      rules, [](const RuleSpec& spec) { return spec.rule.connections == HF_EXISTING_CONNECTIONS; });
  image.config.use_refusals =
      std::ranges::any_of(rules, [](const RuleSpec& spec) { return spec.rule.refusal != 0; });
  image.config.use_line = !image.line.empty();
  // The line keeps the packets of a connection in order.
  image.config.use_flows = image.config.use_line || image.config.use_existing ||
                           std::ranges::any_of(rules, [](const RuleSpec& spec) {
                             return spec.rule.flow_threshold != 0;
                           });
  image.config.use_pulses = std::ranges::any_of(
      rules, [](const RuleSpec& spec) { return spec.rule.pulse_period_ns != 0; });
  image.config.use_protocols = std::any_of(rules.begin(), rules.end(), [](const RuleSpec& spec) {
    return spec.match.protocol != plan::Protocol::any;
  });
  return image;
}

}  // namespace holdfast::agent

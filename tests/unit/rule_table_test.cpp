// From rules to the contents of the maps. What the kernel finds is computed here as it does: one
// single address, the longest prefix, one port, one name.
#include "agent/rule_table.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace holdfast::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::array<std::uint8_t, 16> address_of(const std::string& text) {
  std::array<std::uint8_t, 16> address{};
  if (text.find(':') != std::string::npos) {
    EXPECT_EQ(::inet_pton(AF_INET6, text.c_str(), address.data()), 1) << text;
  } else {
    address[10] = address[11] = 0xff;
    EXPECT_EQ(::inet_pton(AF_INET, text.c_str(), &address[12]), 1) << text;
  }
  return address;
}

// "10.0.0.0/8", "fd00::1"; as the plan has it, host bits and all.
plan::Prefix prefix_of(const std::string& text) {
  const std::size_t slash = text.find('/');
  plan::Prefix prefix{.address = address_of(text.substr(0, slash)), .length = 128, .written = text};
  if (slash != std::string::npos) {
    prefix.length =
        std::stoi(text.substr(slash + 1)) + (text.find(':') == std::string::npos ? 96 : 0);
  }
  return prefix;
}

RuleSpec rule_of(const std::vector<std::string>& addresses, hf_kind kind = HF_BLACKHOLE) {
  RuleSpec spec;
  spec.action = "cut";
  spec.rule.kind = kind;
  for (const std::string& text : addresses) {
    spec.match.addresses.push_back(prefix_of(text));
  }
  return spec;
}

std::vector<std::size_t> rules_in(const hf_bits& bits) {
  std::vector<std::size_t> rules;
  for (std::size_t i = 0; i < HF_MAX_RULES; ++i) {
    if (test_bit(bits, i)) {
      rules.push_back(i);
    }
  }
  return rules;
}

bool same_bits(const std::uint8_t* a, const std::uint8_t* b, std::uint32_t length) {
  for (std::uint32_t bit = 0; bit < length; ++bit) {
    if (((a[bit / 8] ^ b[bit / 8]) >> (7 - bit % 8) & 1) != 0) {
      return false;
    }
  }
  return true;
}

// The rules that the program finds to admit a peer's address.
std::vector<std::size_t> admitted(const TableImage& image, const std::string& text) {
  const auto address = address_of(text);
  hf_bits bits = image.control.any_address;
  const auto merge = [&bits](const hf_bits& from) {
    for (int i = 0; i < HF_WORDS; ++i) {
      bits.word[i] |= from.word[i];
    }
  };
  for (const auto& [key, value] : image.addresses) {
    if (std::memcmp(key.byte, address.data(), sizeof key.byte) == 0) {
      merge(value);
    }
  }
  const std::pair<hf_prefix_key, hf_bits>* longest = nullptr;
  for (const auto& entry : image.prefixes) {
    if (same_bits(entry.first.address.byte, address.data(), entry.first.prefix_length) &&
        (longest == nullptr || entry.first.prefix_length > longest->first.prefix_length)) {
      longest = &entry;
    }
  }
  if (longest != nullptr) {
    merge(longest->second);
  }
  return rules_in(bits);
}

TableImage table_of(const std::vector<RuleSpec>& rules) {
  auto table = build_table(rules);
  EXPECT_TRUE(table) << table.error().message;
  return table ? *table : TableImage{};
}

TEST(RuleTable, SingleAddressesAndPrefixesInTheirOwnMaps) {
  const TableImage image =
      table_of({rule_of({"10.0.0.1", "10.1.0.0/16", "fd00::1", "fd00:1::/32"})});
  EXPECT_THAT(image.addresses, SizeIs(2));
  EXPECT_THAT(image.prefixes, SizeIs(2));
  EXPECT_TRUE(image.config.use_addresses && image.config.use_prefixes);
  EXPECT_THAT(admitted(image, "10.0.0.1"), ElementsAre(0));
  EXPECT_THAT(admitted(image, "10.0.0.2"), IsEmpty());
  EXPECT_THAT(admitted(image, "10.1.255.255"), ElementsAre(0));
  EXPECT_THAT(admitted(image, "10.2.0.0"), IsEmpty());
  EXPECT_THAT(admitted(image, "fd00::1"), ElementsAre(0));
  EXPECT_THAT(admitted(image, "fd00:1:ffff::"), ElementsAre(0));
  EXPECT_THAT(admitted(image, "fd00:2::"), IsEmpty());
}

TEST(RuleTable, Ipv4IsMapped) {
  const TableImage image = table_of({rule_of({"10.0.0.1", "10.0.0.0/8"})});
  EXPECT_EQ(image.addresses[0].first.byte[10], 0xff);
  EXPECT_EQ(image.addresses[0].first.byte[12], 10);
  EXPECT_EQ(image.prefixes[0].first.prefix_length, 104U);
  EXPECT_THAT(admitted(image, "::ffff:10.0.0.1"), ElementsAre(0));
  EXPECT_THAT(admitted(image, "::10.0.0.1"), IsEmpty()) << "IPv4-compatible is not mapped";
}

TEST(RuleTable, ALongerPrefixHasTheRulesOfThoseAroundIt) {
  const TableImage image =
      table_of({rule_of({"10.0.0.0/8"}), rule_of({"10.1.0.0/16"}), rule_of({"10.1.1.0/24"}),
                rule_of({"10.2.0.0/16"}), rule_of({"10.1.1.1"}), rule_of({})});
  EXPECT_THAT(admitted(image, "10.9.9.9"), ElementsAre(0, 5));
  EXPECT_THAT(admitted(image, "10.1.9.9"), ElementsAre(0, 1, 5));
  EXPECT_THAT(admitted(image, "10.1.1.9"), ElementsAre(0, 1, 2, 5));
  EXPECT_THAT(admitted(image, "10.2.1.1"), ElementsAre(0, 3, 5));
  EXPECT_THAT(admitted(image, "10.1.1.1"), ElementsAre(0, 1, 2, 4, 5));
  EXPECT_THAT(admitted(image, "11.0.0.0"), ElementsAre(5));
}

TEST(RuleTable, OnePrefixOfSeveralRulesIsOneEntry) {
  const TableImage image = table_of(
      {rule_of({"10.0.0.0/8"}), rule_of({"10.0.0.0/8", "10.77.0.1/8"}), rule_of({"10.0.0.0/9"})});
  EXPECT_THAT(image.prefixes, SizeIs(2));
  EXPECT_THAT(admitted(image, "10.200.0.0"), ElementsAre(0, 1));
  EXPECT_THAT(admitted(image, "10.1.0.0"), ElementsAre(0, 1, 2));
}

TEST(RuleTable, PrefixesThatEndWithinAByte) {
  const TableImage image = table_of({rule_of({"10.0.0.0/12"}), rule_of({"10.8.0.0/13"})});
  EXPECT_THAT(admitted(image, "10.7.255.255"), ElementsAre(0));
  EXPECT_THAT(admitted(image, "10.8.0.0"), ElementsAre(0, 1));
  EXPECT_THAT(admitted(image, "10.16.0.0"), IsEmpty());
}

TEST(RuleTable, EverythingOfOneFamilyIsNothingOfTheOther) {
  const TableImage image =
      table_of({rule_of({"::/0"}), rule_of({"0.0.0.0/0"}), rule_of({"10.0.0.0/8"})});
  EXPECT_THAT(admitted(image, "2001:db8::1"), ElementsAre(0));
  EXPECT_THAT(admitted(image, "::1"), ElementsAre(0));
  EXPECT_THAT(admitted(image, "192.0.2.1"), ElementsAre(1));
  EXPECT_THAT(admitted(image, "10.0.0.1"), ElementsAre(1, 2));
  for (const char* prefix : {"::/0", "::/1", "::/64", "::/80"}) {
    EXPECT_THAT(admitted(table_of({rule_of({prefix})}), "192.0.2.1"), IsEmpty()) << prefix;
    EXPECT_THAT(admitted(table_of({rule_of({prefix})}), "::1"), ElementsAre(0)) << prefix;
  }
}

TEST(RuleTable, Ports) {
  RuleSpec some = rule_of({});
  some.match.ports = {{443, 443}, {8000, 8002}};
  RuleSpec last = rule_of({});
  last.match.ports = {{65535, 65535}};
  last.match.local_ports = {{1, 1}};
  const TableImage image = table_of({some, last, rule_of({})});
  EXPECT_THAT(image.remote_ports, SizeIs(5));
  EXPECT_THAT(rules_in(image.remote_ports.at(443)), ElementsAre(0));
  EXPECT_THAT(rules_in(image.remote_ports.at(8002)), ElementsAre(0));
  EXPECT_THAT(rules_in(image.remote_ports.at(65535)), ElementsAre(1));
  EXPECT_THAT(rules_in(image.control.any_remote_port), ElementsAre(2));
  EXPECT_THAT(rules_in(image.control.any_local_port), ElementsAre(0, 2));
  EXPECT_THAT(rules_in(image.local_ports.at(1)), ElementsAre(1));
  EXPECT_TRUE(image.config.use_remote_ports && image.config.use_local_ports);
}

TEST(RuleTable, AllPorts) {
  RuleSpec all = rule_of({});
  all.match.ports = {{1, 65535}};
  EXPECT_THAT(table_of({all}).remote_ports, SizeIs(65535));
}

TEST(RuleTable, ProtocolsKindsDirectionsInterfaces) {
  RuleSpec tcp = rule_of({}, HF_LOSS), udp = rule_of({}), icmp = rule_of({}, HF_NOOP);
  tcp.match.protocol = plan::Protocol::tcp;
  udp.match.protocol = plan::Protocol::udp;
  icmp.match.protocol = plan::Protocol::icmp;
  udp.interfaces = {3, 7};
  tcp.match.direction = plan::Direction::from;
  udp.match.direction = icmp.match.direction = plan::Direction::from;
  std::vector<RuleSpec> rules = {tcp, udp, icmp};
  const TableImage image = table_of(rules);
  EXPECT_THAT(rules_in(image.control.protocol[HF_TCP]), ElementsAre(0));
  EXPECT_THAT(rules_in(image.control.protocol[HF_UDP]), ElementsAre(1));
  EXPECT_THAT(rules_in(image.control.protocol[HF_ICMP]), ElementsAre(2));
  EXPECT_THAT(rules_in(image.control.protocol[HF_OTHER]), IsEmpty());
  EXPECT_THAT(rules_in(image.control.of_kind[HF_LOSS]), ElementsAre(0));
  EXPECT_THAT(rules_in(image.control.of_kind[HF_BLACKHOLE]), ElementsAre(1));
  EXPECT_EQ(image.config.kinds, 1U << HF_LOSS | 1U << HF_BLACKHOLE | 1U << HF_NOOP);
  EXPECT_THAT(rules_in(image.control.any_interface), ElementsAre(0, 2));
  EXPECT_THAT(rules_in(image.interfaces.at(7)), ElementsAre(1));
  EXPECT_THAT(image.directions, ElementsAre(false, true));
  EXPECT_TRUE(image.config.use_protocols && image.config.use_interfaces);

  rules.push_back(rule_of({}));
  rules[3].match.direction = plan::Direction::both;
  const TableImage more = table_of(rules);
  EXPECT_THAT(more.directions, ElementsAre(true, true));
  for (const hf_bits& bits : more.control.protocol) {
    EXPECT_TRUE(test_bit(bits, 3));
  }
}

TEST(RuleTable, WhatNoRuleRestrictsIsNotLookedUp) {
  const TableImage image = table_of({rule_of({})});
  EXPECT_FALSE(image.config.use_addresses || image.config.use_prefixes ||
               image.config.use_remote_ports || image.config.use_local_ports ||
               image.config.use_interfaces || image.config.use_protocols);
  EXPECT_EQ(image.config.words, 1U);
  EXPECT_THAT(rules_in(image.control.any_address), ElementsAre(0));
}

TEST(RuleTable, AsManyRulesAsFit) {
  std::vector<RuleSpec> rules(HF_MAX_RULES, rule_of({"10.0.0.1"}));
  const TableImage image = table_of(rules);
  EXPECT_THAT(admitted(image, "10.0.0.1"), SizeIs(HF_MAX_RULES));
  EXPECT_EQ(image.config.words, static_cast<__u32>(HF_WORDS));
  EXPECT_EQ(table_of({rules.begin(), rules.begin() + 64}).config.words, 1U);
  EXPECT_EQ(table_of({rules.begin(), rules.begin() + 65}).config.words, 2U);
  rules.push_back(rule_of({}));
  const auto refused = build_table(rules);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::usage);
  EXPECT_THAT(refused.error().message, HasSubstr("257"));
}

// What the program finds for a question: the longest entry that the reversed name begins with.
std::vector<std::size_t> named(const TableImage& image, const std::string& question) {
  const std::string key = *reversed_wire_name(question);
  const std::pair<hf_name_key, hf_name_value>* longest = nullptr;
  for (const auto& entry : image.names) {
    const std::string_view name(reinterpret_cast<const char*>(entry.first.reversed),
                                entry.first.prefix_length / 8);
    if (key.starts_with(name) &&
        (longest == nullptr || entry.second.length > longest->second.length)) {
      longest = &entry;
    }
  }
  if (longest == nullptr) {
    return {};
  }
  hf_bits bits = longest->second.zone;
  if (longest->second.length == key.size()) {
    for (int i = 0; i < HF_WORDS; ++i) {
      bits.word[i] |= longest->second.exact.word[i];
    }
  }
  return rules_in(bits);
}

RuleSpec dns_rule(std::vector<NameMatch> names) {
  RuleSpec spec = rule_of({}, HF_DNS);
  spec.names = std::move(names);
  return spec;
}

TEST(RuleTable, NamesAndZones) {
  const TableImage image =
      table_of({dns_rule({{"example.com", true}}), dns_rule({{"api.example.com", false}}),
                dns_rule({{"eu.api.example.com", true}}), dns_rule({{"Example.COM", false}})});
  EXPECT_THAT(named(image, "example.com"), ElementsAre(0, 3));
  EXPECT_THAT(named(image, "www.example.com"), ElementsAre(0));
  EXPECT_THAT(named(image, "api.example.com"), ElementsAre(0, 1));
  EXPECT_THAT(named(image, "us.api.example.com"), ElementsAre(0)) << "an exact name is no zone";
  EXPECT_THAT(named(image, "eu.api.example.com"), ElementsAre(0, 2));
  EXPECT_THAT(named(image, "a.b.eu.API.example.com"), ElementsAre(0, 2));
  EXPECT_THAT(named(image, "badexample.com"), IsEmpty());
  EXPECT_THAT(named(image, "com"), IsEmpty());
  EXPECT_THAT(named(image, "example.org"), IsEmpty());
}

TEST(RuleTable, TheRootIsEverything) {
  const TableImage image = table_of({dns_rule({{".", true}}), dns_rule({{"example.com", true}})});
  EXPECT_THAT(named(image, "example.org"), ElementsAre(0));
  EXPECT_THAT(named(image, "a.example.com"), ElementsAre(0, 1));
}

TEST(RuleTable, NamesThatDoNotFit) {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
  ASSERT_EQ(longest.size(), 253U);
  EXPECT_EQ(reversed_wire_name(longest)->size(), 255U);
  EXPECT_EQ(*reversed_wire_name("example.com."), *reversed_wire_name("example.com"));
  EXPECT_FALSE(reversed_wire_name("")) << "the root is to be written as such";
  for (const std::string& name : {longest + "b", label + "a.com", std::string("a..b"),
                                  std::string(".com"), std::string("..")}) {
    const auto refused = build_table({dns_rule({{name, false}})});
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().kind, ErrorKind::usage) << name;
    EXPECT_THAT(refused.error().message, HasSubstr("cut")) << name;
  }
}

}  // namespace
}  // namespace holdfast::agent

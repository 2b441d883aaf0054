#pragma once

#include <map>
#include <string>
#include <string_view>

namespace iuq::weights {

/// What a tensor needs beside another name, to be ours (see change.h).
enum class Change {
  kNone,
  kThird,         // ours is three of theirs, one below the other; three rules with the same name of ours
  kMergingOrder,  // the inputs of a Swin patch merging are in another order
};

/// Two spellings of the same parameter names. Both are text with placeholders, and each can be turned into the other:
///   {k}  {k+1}  {3i}  {3i+1}   a decimal number, a linear function of the named number (factor, offset >= 0)
///   {*}                        one part of a name, without dots: "weight"
///   {**}                       anything, also with dots
/// "layer{k}.{i}.bn{j}.{*}" and "res{k+1}.{i}.conv{j}.norm.{*}" say that layer1.0.bn2.bias is res2.0.conv2.norm.bias.
struct Rule {
  std::string ours;
  std::string theirs;
  Change change = Change::kNone;
  int part = 0;  // of kThird
};

using Captures = std::map<std::string, std::string>;

/// Whether the whole of `name` fits `pattern`; fills `captures`. No name fits in two ways.
bool match(std::string_view pattern, std::string_view name, Captures& captures);
/// `pattern` with its placeholders filled in. Every one of them must have been captured.
std::string render(std::string_view pattern, const Captures& captures);
/// `name` rewritten from one spelling to the other; false if it does not fit `from`.
bool rewrite(std::string_view from, std::string_view to, std::string_view name, std::string& out);

}  // namespace iuq::weights

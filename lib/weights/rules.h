#pragma once

#include <string>
#include <vector>

#include "lib/weights/pattern.h"

// Tables of names by family of layers: ours on the left, another program's on the right. naming.cpp puts them together.
namespace iuq::weights {

std::vector<Rule> operator+(std::vector<Rule> a, const std::vector<Rule>& b);
/// The same rules for names that begin with `ours` here and with `theirs` there.
std::vector<Rule> prefixed(const std::string& ours, const std::string& theirs, std::vector<Rule> rules);
/// Our names on both sides.
std::vector<Rule> own_names(std::vector<Rule> rules);

// Backbones, without a prefix on either side.
std::vector<Rule> resnet_torchvision();
std::vector<Rule> resnet_caffe2();
std::vector<Rule> swin_microsoft();
std::vector<Rule> swin_timm();
std::vector<Rule> swin_torchvision();
std::vector<Rule> swin_hf();
std::vector<Rule> swin_mmdet();

// Necks and heads, whole names.
std::vector<Rule> fpn_mmdet();
std::vector<Rule> solov2_mmdet();
std::vector<Rule> solov2_solo();
std::vector<Rule> sotr();
std::vector<Rule> condinst_mmdet();
std::vector<Rule> condinst_more();
std::vector<Rule> mask2former_own();
std::vector<Rule> mask2former_hf();
std::vector<Rule> mask2former_mmdet();

}  // namespace iuq::weights

#pragma once

#include <cstdint>
#include <string>

namespace iuq::infer {

/// Checks that the picture can be written, so that a wrong path is found before the work is done. Error(kCannotCreate) when the
/// folder is missing, or the file exists and is no PNG.
void check_contact_sheet(const std::string& output);

/// Draws the first images of `annotations` with instances twice, ground truth and predictions side by side, into a PNG.
/// Works from the results file alone; predictions below `min_score` are left out. Errors: those of the inputs;
/// kBadData naming index and key of the result; kCannotCreate.
void write_contact_sheet(const std::string& annotations, const std::string& images, const std::string& predictions,
                         const std::string& output, int64_t count, double min_score);

}  // namespace iuq::infer

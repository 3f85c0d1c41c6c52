// What an evil guest's envd answers, and what becomes of it.
#pragma once

#include "core/base/error.h"
#include "evil_guest.h"

namespace wrenn::test {

enum class Fault {
  none,     // odd, but the answer is a good one
  head,     // the agent sees it and says so
  body,     // the head has been passed on; the answer breaks off for the client of the agent
  content,  // good HTTP: the agent passes it on, and its client sees it
  late,     // never ends
};

struct EvilRow {
  const char* name;
  Script script;
  Fault fault;
  ErrorCode code;
  const char* text;
};

// To any call; what is expected is that of process.Process/List.
std::vector<EvilRow> evil_answers();
// To process.Process/Start.
std::vector<EvilRow> evil_streams();

std::string answer(std::string_view status, std::string_view rest);
// Status 200; `more` are whole lines of header fields.
std::string json_answer(std::string_view body, std::string_view more = {});

}  // namespace wrenn::test

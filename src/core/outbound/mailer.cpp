#include "core/outbound/mailer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

#include "core/async/offload.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/scope_guard.h"
#include "core/log/log.h"

namespace wrenn::outbound {

namespace {

// A reader of the directory never sees half a mail.
void write_file(const std::string& path, std::string_view content) {
  const std::string unfinished = path + ".part";
  const int fd = ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) throw_errno("create {}", unfinished);
  ScopeGuard remove([&] { ::unlink(unfinished.c_str()); });
  {
    const ScopeGuard close_it([fd] { ::close(fd); });
    while (!content.empty()) {
      const auto written = ::write(fd, content.data(), content.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw_errno("write {}", unfinished);
      content.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  if (::rename(unfinished.c_str(), path.c_str()) != 0) throw_errno("rename {} to {}", unfinished, path);
  remove.dismiss();
}

class DirectoryMailer : public Mailer {
 public:
  DirectoryMailer(std::string directory, Mailbox from)
      : directory_(std::move(directory)), from_(std::move(from)), threads_("mail", 1) {
    clean_address(from_.address);
    if (::mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST)
      throw_errno("make the directory {} for mails", directory_);
  }

  async::Task<> send(Mail mail) override {
    auto work = [this, mail = std::move(mail)] {
      const auto at = now();
      // Microseconds have 16 digits until the year 2286; the number is for two in the same one.
      const auto name = fmt::format("{:016}-{:06}", at.us, count_++ % 1'000'000);
      write_file(fmt::format("{}/{}.eml", directory_, name), compose(mail, from_, at, random_hex(16)));
    };
    co_await async::offload(threads_, std::move(work));
  }

 private:
  std::string directory_;
  Mailbox from_;
  unsigned count_ = 0;  // of the one thread
  async::ThreadPool threads_;
};

class SilentMailer : public Mailer {
 public:
  async::Task<> send(Mail mail) override {
    log::info("a mail was not sent, because no mail server is configured",
              {{"to", clean_address(mail.to.address)}, {"subject", mail.subject}});
    co_return;
  }
};

}  // namespace

std::unique_ptr<Mailer> make_directory_mailer(std::string directory, Mailbox from) {
  return std::make_unique<DirectoryMailer>(std::move(directory), std::move(from));
}

std::unique_ptr<Mailer> make_silent_mailer() {
  return std::make_unique<SilentMailer>();
}

}  // namespace wrenn::outbound

#include "dev/config.h"

#include "cp/config.h"

namespace wrenn::dev {

void describe(config::Settings& settings, Config& values) {
  settings.text("dir", values.dir, "where kernel, images, capsules and the database are").env("WRENN_DIR");
  settings.address("listen", values.listen, "address of the API").env("WRENN_CP_LISTEN_ADDR");
  settings.one_of("on_exit", values.on_exit, "what becomes of running capsules when wrenn dev ends", {"pause", "keep"});
  cp::describe_gateway(settings, values.gateway_domains);
  settings.one_of("acceleration", values.acceleration, "how capsules run", {"auto", "kvm", "tcg"});
  settings.one_of("log_level", values.log_level, "lines below it are dropped", {"debug", "info", "warn", "error"})
      .env("LOG_LEVEL");
}

}  // namespace wrenn::dev

#include "dev/config.h"

namespace wrenn::dev {

void describe(config::Settings& settings, Config& values) {
  settings.text("dir", values.dir, "where kernel, images, capsules and the database are").env("WRENN_DIR");
  settings.address("listen", values.listen, "address of the API").env("WRENN_CP_LISTEN_ADDR");
  settings.one_of("on_exit", values.on_exit, "what becomes of running capsules when wrenn dev ends", {"pause", "keep"});
  cp::describe_gateway(settings, values.gateway_domains);
  cp::describe_channels(settings, values.channels);
  settings.one_of("acceleration", values.acceleration, "how capsules run", {"auto", "kvm", "tcg"});
  settings
      .integer("ready_sandboxes", values.ready_sandboxes,
               "machines made ahead of their use, of the kinds asked for last; 0: none", 0, 256)
      .env("WRENN_READY_SANDBOXES");
  settings.one_of("log_level", values.log_level, "lines below it are dropped", {"debug", "info", "warn", "error"})
      .env("LOG_LEVEL");
}

}  // namespace wrenn::dev

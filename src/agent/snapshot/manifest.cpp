#include "agent/snapshot/manifest.h"

#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/crypto/hash.h"
#include "linux/fd.h"

namespace wrenn::agent::snapshot {

namespace {

constexpr std::size_t kKeyBytes = 32;  // as long as the digest: RFC 2104 §3

std::string seal_of(Manifest manifest, const Secret& key) {
  manifest.seal.clear();
  return hex_encode(crypto::hmac_sha256(key.reveal(), json::to_json(manifest)));
}

}  // namespace

std::string seal_manifest(Manifest manifest, const Secret& key) {
  manifest.seal = seal_of(manifest, key);
  return json::to_json(manifest);
}

Manifest parse_manifest(const std::string& text, const Secret& key, const std::string& what) {
  Manifest manifest;
  try {
    manifest = json::from_json<Manifest>(text);
  } catch (const Error& error) {
    throw_error(ErrorCode::data_loss, "the manifest of {} was damaged ({}); destroy what it belongs to", what,
                error.what());
  }
  if (manifest.format != Manifest::kFormat)
    throw_error(ErrorCode::failed_precondition,
                "{} has format {}, this version of wrenn reads format {}: use the version that wrote it",
                what, manifest.format, Manifest::kFormat);
  if (!constant_time_equal(seal_of(manifest, key), manifest.seal))
    throw_error(ErrorCode::data_loss,
                "the manifest of {} was changed or damaged, or was written with another host's key: its seal "
                "is wrong; "
                "destroy what it belongs to, or bring back snapshot.key of the host that wrote it",
                what);
  return manifest;
}

Secret load_seal_key(const std::string& path) {
  if (const auto text = sys::try_read_file(path, 1024)) {
    auto key = hex_decode(*text);
    if (!key || key->size() != kKeyBytes)
      throw_error(ErrorCode::data_loss,
                  "{} is damaged; bring it back, or remove it and with it all snapshots", path);
    return Secret(std::move(*key));
  }
  const std::string text = random_hex(kKeyBytes);
  sys::write_file_atomic(path, text, 0600);
  return Secret(*hex_decode(text));
}

void check(const Manifest& manifest, const ResumeHost& host) {
  if (manifest.vmm_version != host.vmm_version)
    throw_error(
        ErrorCode::failed_precondition,
        "the snapshot was written by {}, and {} is installed; a saved machine only loads in the version that "
        "saved it: install that version again, or destroy the capsule",
        manifest.vmm_version, host.vmm_version);
  if (manifest.acceleration != host.acceleration)
    throw_error(
        ErrorCode::failed_precondition,
        "the snapshot was written under {} acceleration, and this host uses {}: resume it where {} works, or "
        "destroy the capsule",
        to_string(manifest.acceleration), to_string(host.acceleration), to_string(manifest.acceleration));
  if (manifest.cpu_model != host.cpu_model)
    throw_error(ErrorCode::failed_precondition,
                "the snapshot was written on the CPU {}, and this host has {}: resume it on a host with the "
                "former, or "
                "destroy the capsule",
                manifest.cpu_model, host.cpu_model);
}

}  // namespace wrenn::agent::snapshot

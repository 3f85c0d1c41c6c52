"""From create to destroy, also when the agent is late, lies, dies or answers into the void."""
import http.client
import json
import time

import pytest
from fake_agent import Drop, Fail, FakeAgent, held, late
from waiting import in_background, wait_until


def as_listed(capsule):
    """Lists leave out how to reach a capsule."""
    return {key: value for key, value in capsule.items() if key not in ("domain", "envd_access_token")}


def test_the_whole_way(plane):
    answer = plane.post("/v1/capsules", {"template": "minimal", "vcpus": 2, "memory_mb": 256, "timeout_sec": 60})
    assert answer.status == 201
    capsule = answer.json
    assert capsule["status"] == "running"
    assert (capsule["template"], capsule["vcpus"], capsule["memory_mb"], capsule["timeout_sec"]) == ("minimal", 2, 256, 60)
    assert capsule["host_ip"] == "10.11.0.2"
    assert capsule["metadata"] == {"kernel_version": "6.1", "agent_version": "test"}
    assert "guest_ip" not in capsule
    for field in ("created_at", "last_updated", "started_at", "last_active_at"):
        assert capsule[field].endswith("Z")
    path = f"/v1/capsules/{capsule['id']}"
    assert answer.headers["Location"] == path
    told = plane.agent.called("CreateSandbox")[0]
    assert (told["vcpus"], told["memoryMb"], told["diskSizeMb"], told["timeoutSec"]) == (2, 256, 5120, 60)
    assert (told["templateName"], told["templateId"], told["templateTeamId"]) == ("minimal-debian", "0" * 24 + "4", "0" * 25)

    assert plane.get(path).json == capsule
    assert plane.get("/v1/capsules").json == [as_listed(capsule)]
    assert plane.get("/api" + path).json == capsule
    assert plane.post(path + "/ping").status == 204

    paused = plane.post(path + "/pause")
    assert (paused.status, paused.json["status"]) == (200, "paused")
    assert "host_ip" not in paused.json
    for route in ("pause", "ping", "exec"):
        answer = plane.post(f"{path}/{route}", {})
        assert (answer.status, answer.code) == (409, "invalid_state")
        assert answer.message == "sandbox is not running (status: paused)"
    assert plane.get(path + "/metrics").status == 200

    resumed = plane.post(path + "/resume")
    assert (resumed.status, resumed.json["status"], resumed.json["host_ip"]) == (200, "running", "10.11.0.3")
    answer = plane.post(path + "/resume")
    assert (answer.status, answer.code, answer.message) == (409, "invalid_state",
                                                            "sandbox is not paused (status: running)")

    for _ in range(2):
        assert plane.delete(path).status == 204
    assert plane.get(path).json["status"] == "stopped"
    assert plane.get("/v1/capsules").json == []
    assert plane.post(path + "/resume").code == "invalid_state"
    assert plane.agent.sandboxes == {}


def test_the_list_is_never_stale(plane):
    ids = [plane.create() for _ in range(3)]

    def check():
        listed = plane.get("/v1/capsules").json
        assert listed == [as_listed(plane.get(f"/v1/capsules/{one['id']}").json) for one in listed]
        return [one["id"] for one in listed]
    assert check() == ids[::-1]
    for work in (lambda: plane.post(f"/v1/capsules/{ids[1]}/pause"), lambda: plane.post(f"/v1/capsules/{ids[1]}/resume"),
                 lambda: plane.post(f"/v1/capsules/{ids[0]}/ping")):
        assert work().status in (200, 204)
        assert check() == ids[::-1]
    plane.delete(f"/v1/capsules/{ids[1]}")
    assert check() == [ids[2], ids[0]]
    # Also what another process wrote.
    with plane.database() as database:
        database.execute("UPDATE sandboxes SET host_ip = '1.2.3.4', last_updated = last_updated + 1 WHERE id = ?", (ids[0],))
    assert plane.get("/v1/capsules").json[1]["host_ip"] == "1.2.3.4"


def test_an_empty_body_means_the_defaults(plane):
    for body in (None, "", "{}", " \n"):
        answer = plane.post("/v1/capsules", body)
        assert (answer.status, answer.json["template"]) == (201, "minimal-debian")
        assert (answer.json["vcpus"], answer.json["memory_mb"], answer.json["timeout_sec"]) == (1, 512, 0)


def test_templates(plane):
    from fake_agent import template
    assert [one["name"] for one in plane.get("/v1/snapshots").json] == ["minimal-debian"]
    assert plane.get("/v1/snapshots?type=base").json[0]["platform"] is True
    assert plane.get("/v1/snapshots?type=snapshot").json == []
    # One that was built a moment ago can be used at once, and is the default then.
    time.sleep(1.1)
    plane.agent.templates.append(template(0, "minimal-ubuntu"))
    assert plane.post("/v1/capsules", {"template": "minimal-ubuntu"}).status == 201
    assert plane.post("/v1/capsules", {}).json["template"] == "minimal-ubuntu"


def test_no_template_at_all(plane):
    plane.agent.templates = []
    plane.stop()
    plane.start()
    wait_until(lambda: plane.get("/v1/snapshots").json == [])
    answer = plane.post("/v1/capsules", {})
    assert (answer.status, answer.code) == (404, "not_found")
    assert "rootfs/build.sh" in answer.message


def test_no_host_is_large_enough(plane):
    answer = plane.post("/v1/capsules", {"memory_mb": 65536})
    assert (answer.status, answer.code) == (503, "no_hosts_available")
    assert "16384" in answer.message
    assert plane.get("/v1/capsules").json == []


def test_an_early_answer(impatient):
    plane = impatient
    plane.agent.on["CreateSandbox"] = late(4.0, FakeAgent.create)
    started = time.monotonic()
    answer = plane.post("/v1/capsules", {})
    assert time.monotonic() - started < 3.5
    assert (answer.status, answer.json["status"]) == (201, "starting")
    capsule = answer.json["id"]
    assert plane.post(f"/v1/capsules/{capsule}/ping").message == "sandbox is not running (status: starting)"
    plane.wait_for_row(capsule, "running")

    # The client that wants to wait says so.
    answer = plane.post("/v1/capsules", {}, headers={"Prefer": "wait=20"})
    assert (answer.status, answer.json["status"]) == (201, "running")
    assert answer.headers["Preference-Applied"] == "wait=20"
    answer = plane.post("/v1/capsules", {}, headers={"Prefer": "wait=0"})
    assert answer.json["status"] == "starting"

    plane.post(f"/v1/capsules/{capsule}/pause")
    plane.agent.on["ResumeSandbox"] = late(4.0, FakeAgent.resume)
    answer = plane.post(f"/v1/capsules/{capsule}/resume")
    assert (answer.status, answer.json["status"]) == (200, "starting")
    plane.wait_for_row(capsule, "running")


def test_a_failure_after_an_early_answer(impatient):
    plane = impatient

    def fail_late(agent, request):
        time.sleep(2)
        raise Fail("internal", "the kernel panicked")
    plane.agent.on["CreateSandbox"] = fail_late
    capsule = plane.create()
    plane.wait_for_row(capsule, "error")
    shown = plane.get(f"/v1/capsules/{capsule}").json
    assert shown["status"] == "error"
    assert "panicked" in shown["metadata"]["reason"]


def test_the_client_goes_away_during_create(plane):
    plane.agent.on["CreateSandbox"] = late(0.7, FakeAgent.create)
    connection = http.client.HTTPConnection("127.0.0.1", plane.port)
    connection.request("POST", "/v1/capsules", body="{}", headers={"X-API-Key": plane.key})
    wait_until(lambda: plane.agent.called("CreateSandbox"))
    connection.close()
    capsule = plane.agent.called("CreateSandbox")[0]["sandboxId"]
    plane.wait_for_row(capsule, "running")
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "running"


@pytest.mark.parametrize("code,status,public", [("internal", 502, "agent_error"), ("invalid_argument", 400, "invalid_request"),
                                                ("not_found", 404, "not_found"), ("resource_exhausted", 507, "resource_exhausted"),
                                                ("unavailable", 503, "no_hosts_available")])
def test_the_agent_refuses(plane, code, status, public):
    def refuse(agent, request):
        raise Fail(code, "because")
    plane.agent.on["CreateSandbox"] = refuse
    answer = plane.post("/v1/capsules", {})
    assert (answer.status, answer.code) == (status, public)
    assert "because" in answer.message
    assert plane.get("/v1/capsules").json == []
    capsule = plane.agent.called("CreateSandbox")[0]["sandboxId"]
    assert plane.row(capsule)["status"] == "error"
    # The host is cleaned, for a refusal may come after half the work.
    wait_until(lambda: plane.agent.called("DestroySandbox"))


def test_nobody_answers(plane):
    plane.create()
    plane.agent.stop()
    answer = plane.post("/v1/capsules", {})
    assert (answer.status, answer.code) == (503, "no_hosts_available")
    assert answer.headers["Retry-After"]
    assert plane.get("/health").status == 200


def test_the_answer_to_create_is_lost(plane):
    def create_and_vanish(agent, request):
        agent.create(request)
        raise Drop()
    plane.agent.on["CreateSandbox"] = create_and_vanish
    answer = plane.post("/v1/capsules", {})
    assert answer.status == 503
    capsule = plane.agent.called("CreateSandbox")[0]["sandboxId"]
    # Nobody will use it: it is destroyed on the host.
    wait_until(lambda: capsule not in plane.agent.sandboxes)
    assert plane.row(capsule)["status"] == "error"


def test_the_agent_dies_in_the_middle_of_create(plane):
    port = plane.agent.port
    plane.agent.on["CreateSandbox"] = late(5, FakeAgent.create)
    answer = in_background(lambda: plane.post("/v1/capsules", {}))
    wait_until(lambda: plane.agent.called("CreateSandbox"))
    capsule = plane.agent.called("CreateSandbox")[0]["sandboxId"]
    plane.agent.stop()
    assert answer().status == 503
    assert plane.wait_for_row(capsule, "error")
    # It comes back with the half-made capsule: the reconciler destroys that.
    plane.agent = FakeAgent(port)
    plane.agent.sandboxes[capsule] = {"sandboxId": capsule, "status": "running"}
    wait_until(lambda: capsule not in plane.agent.sandboxes)
    assert plane.create()


def test_destroy_during_create(plane):
    plane.agent.on["CreateSandbox"], go_on = held(FakeAgent.create)
    created = in_background(lambda: plane.post("/v1/capsules", {}))
    wait_until(lambda: plane.agent.called("CreateSandbox"))
    capsule = plane.agent.called("CreateSandbox")[0]["sandboxId"]
    assert plane.delete(f"/v1/capsules/{capsule}").status == 204
    go_on.set()
    answer = created()
    assert (answer.status, answer.code) == (409, "conflict")
    assert plane.row(capsule)["status"] == "stopped"
    # The agent made it after our destroy: it must not stay.
    wait_until(lambda: capsule not in plane.agent.sandboxes)


def test_two_pauses(plane):
    capsule = plane.create()
    plane.agent.on["PauseSandbox"] = late(0.5, FakeAgent.pause)
    answers = [in_background(lambda: plane.post(f"/v1/capsules/{capsule}/pause")) for _ in range(5)]
    results = sorted((answer.status for answer in [wait() for wait in answers]))
    assert results == [200, 409, 409, 409, 409]
    assert len(plane.agent.called("PauseSandbox")) == 1
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "paused"


def test_what_clients_see_of_a_pause_under_way(plane):
    capsule = plane.create()
    plane.agent.on["PauseSandbox"], go_on = held(FakeAgent.pause)
    answer = in_background(lambda: plane.post(f"/v1/capsules/{capsule}/pause"))
    plane.wait_for_row(capsule, "pausing")
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "running"
    go_on.set()
    assert answer().json["status"] == "paused"


def test_pause_and_destroy(plane):
    capsule = plane.create()
    plane.agent.on["PauseSandbox"], go_on = held(lambda agent, request: agent.sandboxes.get(request["sandboxId"], {"status": "paused"}))
    pausing = in_background(lambda: plane.post(f"/v1/capsules/{capsule}/pause"))
    plane.wait_for_row(capsule, "pausing")
    assert plane.delete(f"/v1/capsules/{capsule}").status == 204
    go_on.set()
    answer = pausing()
    assert (answer.status, answer.code) == (409, "conflict")
    assert plane.row(capsule)["status"] == "stopped"


def test_many_destroys_are_one(plane):
    capsule = plane.create()
    plane.agent.on["DestroySandbox"] = late(0.5, FakeAgent.destroy)
    answers = [in_background(lambda: plane.delete(f"/v1/capsules/{capsule}")) for _ in range(4)]
    assert [wait().status for wait in answers] == [204] * 4
    assert len(plane.agent.called("DestroySandbox")) == 1


def test_a_pause_that_fails_leaves_it_running(plane):
    capsule = plane.create()

    def fail(agent, request):
        raise Fail("internal", "disk full")
    plane.agent.on["PauseSandbox"] = fail
    answer = plane.post(f"/v1/capsules/{capsule}/pause")
    assert (answer.status, answer.code) == (502, "agent_error")
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "running"
    assert plane.row(capsule)["status"] == "running"


def test_the_answer_to_pause_is_lost(plane):
    capsule = plane.create()

    def pause_and_vanish(agent, request):
        agent.pause(request)
        raise Drop()
    plane.agent.on["PauseSandbox"] = pause_and_vanish
    answer = plane.post(f"/v1/capsules/{capsule}/pause")
    assert answer.status == 503
    # What is true is asked for at once.
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "paused"
    assert plane.post(f"/v1/capsules/{capsule}/resume").json["status"] == "running"


def test_resume_finds_nothing(plane):
    capsule = plane.create()
    plane.post(f"/v1/capsules/{capsule}/pause")
    plane.agent.sandboxes.clear()
    answer = plane.post(f"/v1/capsules/{capsule}/resume")
    assert (answer.status, answer.code) == (404, "not_found")
    assert plane.row(capsule)["status"] == "stopped"


def test_destroy_while_the_agent_is_away(plane):
    capsule = plane.create()
    port, sandboxes = plane.agent.port, plane.agent.sandboxes
    plane.agent.stop()
    answer = plane.delete(f"/v1/capsules/{capsule}")
    assert (answer.status, answer.code) == (503, "host_unavailable")
    assert plane.row(capsule)["status"] == "stopping"
    plane.agent = FakeAgent(port)
    plane.agent.sandboxes = sandboxes
    plane.wait_for_row(capsule, "stopped", seconds=15)
    assert plane.agent.sandboxes == {}


def test_the_host_pauses_by_itself(plane):
    capsule = plane.create(timeout_sec=1)
    info = plane.agent.sandboxes[capsule]
    info["status"], info["reason"] = "paused", "ttl_expired"
    assert plane.wait_for_row(capsule, "paused")["status_reason"] == "ttl_expired"
    assert plane.post(f"/v1/capsules/{capsule}/resume").json["status"] == "running"


def test_a_capsule_vanishes_from_its_host(plane):
    capsule, other = plane.create(), plane.create()
    del plane.agent.sandboxes[capsule]
    assert plane.wait_for_row(capsule, "stopped")["status_reason"] == "host_state_sync"
    plane.agent.sandboxes[other]["status"], plane.agent.sandboxes[other]["reason"] = "error", "QEMU was killed"
    assert plane.wait_for_row(other, "error")["status_reason"] == "QEMU was killed"
    assert plane.get(f"/v1/capsules/{other}").json["metadata"]["reason"] == "QEMU was killed"


def test_a_host_that_is_lost_and_found(hasty):
    plane = hasty
    running, asleep = plane.create(), plane.create()
    plane.post(f"/v1/capsules/{asleep}/pause")
    port, sandboxes = plane.agent.port, plane.agent.sandboxes
    plane.agent.stop()
    assert plane.wait_for_row(running, "missing")["status_reason"] == "host_unreachable"
    assert plane.get(f"/v1/capsules/{running}").json["status"] == "missing"
    assert plane.get(f"/v1/capsules/{asleep}").json["status"] == "paused"
    answer = plane.post(f"/v1/capsules/{running}/ping")
    assert (answer.status, answer.message) == (409, "sandbox is not running (status: missing)")
    answer = plane.post(f"/v1/capsules/{asleep}/resume")
    assert (answer.status, answer.code) == (503, "host_unavailable")
    plane.agent = FakeAgent(port)
    plane.agent.sandboxes = sandboxes
    assert plane.wait_for_row(running, "running")["status_reason"] == "restored_after_host_recovery"
    assert plane.post(f"/v1/capsules/{running}/ping").status == 204
    plane.wait_for_row(asleep, "paused", seconds=15)
    assert plane.post(f"/v1/capsules/{asleep}/resume").status == 200


def test_the_first_call_after_a_restart_of_the_agent(slow):
    plane = slow
    capsule = plane.create()
    assert plane.post(f"/v1/capsules/{capsule}/ping").status == 204
    port, sandboxes = plane.agent.port, plane.agent.sandboxes
    plane.agent.stop()
    plane.agent = FakeAgent(port)
    plane.agent.sandboxes = sandboxes
    # The kept connections are dead; that is no reason to refuse.
    assert plane.post(f"/v1/capsules/{capsule}/ping").status == 204
    assert plane.post(f"/v1/capsules/{capsule}/exec", {"cmd": "x"}).status == 200


def test_a_crash_of_the_control_plane_in_the_middle_of_create(plane):
    plane.agent.on["CreateSandbox"], go_on = held(FakeAgent.create)
    in_background(lambda: _ignore_failure(lambda: plane.post("/v1/capsules", {})))
    wait_until(lambda: plane.agent.called("CreateSandbox"))
    capsule = plane.agent.called("CreateSandbox")[0]["sandboxId"]
    plane.stop(9)
    assert plane.row(capsule)["status"] == "starting"
    go_on.set()
    plane.start()
    # The agent went on; after the grace for other processes' operations the row follows it.
    assert plane.wait_for_row(capsule, "running", seconds=15)["host_ip"] == "10.11.0.2"
    assert plane.post(f"/v1/capsules/{capsule}/ping").status == 204


def test_the_first_answer_after_a_start_knows_what_happened_meanwhile(slow):
    plane = slow
    capsule = plane.create()
    plane.stop()
    plane.agent.pause({"sandboxId": capsule})
    plane.agent.on["ListSandboxes"] = late(0.7, lambda agent, request: agent.obey("ListSandboxes", request))
    plane.start()
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "paused"


def test_a_host_that_is_away_does_not_keep_the_control_plane_from_starting(plane):
    capsule = plane.create()
    plane.stop()
    plane.agent.stop()
    plane.start()
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "running"


def test_a_restart_lets_operations_end(plane):
    plane.agent.on["CreateSandbox"] = late(1.5, FakeAgent.create)
    answer = in_background(lambda: plane.post("/v1/capsules", {}))
    wait_until(lambda: plane.agent.called("CreateSandbox"))
    assert plane.stop() == 0
    assert answer().status == 201
    plane.start()
    assert len(plane.get("/v1/capsules").json) == 1


def test_many_at_once(plane):
    answers = [in_background(lambda: plane.post("/v1/capsules", {})) for _ in range(40)]
    ids = {wait().json["id"] for wait in answers}
    assert len(ids) == 40
    listed = plane.get("/v1/capsules").json
    assert {one["id"] for one in listed} == ids
    times = [plane.row(one["id"])["created_at"] for one in listed]
    assert times == sorted(times, reverse=True)
    answers = [in_background(lambda one=one: plane.delete(f"/v1/capsules/{one}")) for one in ids]
    assert {wait().status for wait in answers} == {204}
    assert plane.agent.sandboxes == {}


def test_the_schema_of_a_newer_program_is_refused(plane):
    plane.stop()
    with plane.database() as database:
        database.execute("INSERT INTO schema_migrations VALUES (99, '0099_x.sql', 'c', 1)")
    with pytest.raises(RuntimeError) as failure:
        plane.start()
    assert "newer wrenn" in str(failure.value)
    with plane.database() as database:
        database.execute("DELETE FROM schema_migrations WHERE version = 99")
    plane.start()


def _ignore_failure(work):
    try:
        return work()
    except (OSError, http.client.HTTPException, json.JSONDecodeError):
        return "gone"

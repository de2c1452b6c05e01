# SPDX-License-Identifier: Apache-2.0
"""A whole job with the real engine: what comes, in which order, and how it ends."""

from __future__ import annotations


def test_an_engine_starts_loads_its_model_and_says_so(host, service):
    service.start()
    host.spin(until=lambda: service.state == "ready", timeout=60)
    assert service.history == ["starting", "loading", "ready"]
    assert "Mini" in service.stateText
    assert service.capabilities["model"]["name"] == "mini"
    assert any(target["name"] == "liver" for target in service.targets)
    assert service.pid > 0


def test_a_whole_job_comes_back_with_masks_progress_and_result(ready, run, volumeNode):
    told = run(ready, "segment", volumeNode, {"targets": ["liver", "kidney tumor"], "site": "abdomen"})
    assert told.ends == ["done"], told.job.message
    assert told.states == ["preparing", "uploading", "queued", "running", "done"]
    assert told.job.result["format"] == "unibiomed.result/1"
    assert {mask["target"] for mask in told.masks} >= {"liver"}
    assert told.progress
    assert told.job.volumeChanged() == ""

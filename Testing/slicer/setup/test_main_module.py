# SPDX-License-Identifier: Apache-2.0
"""Module UniBiomed as a user meets it, clicked through in the stand-in."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest
import qt
import slicer
from fake_engine import FakeEngineService
from UniBiomedSlicerLib.EngineSource import EngineSource
from UniBiomedSlicerLib.Environment import Environment, environment
from UniBiomedSlicerLib.EnvironmentRecord import EnvironmentRecord, pythonOf, writeRecord
from UniBiomedSlicerLib.SampleImages import HEAD, PHANTOM, sampleImages
from UniBiomedSlicerLib.Settings import settings
from UniBiomedSlicerLib.TorchBuild import chooseTorchBuild


@pytest.fixture
def local(host, root, monkeypatch):
    """Slicer's own settings, an environment folder of the test's, and the interpreter of the tests when asked for."""
    monkeypatch.delenv("UNIBIOMED_INTERPRETER", raising=False)
    settings().environmentFolder = str(root)
    settings().modelsFolder = str(root / "models")
    return settings()


@pytest.fixture
def fake(host, local):
    """An engine that is played by the test."""
    slicer.modules.UniBiomedEngineService = made = FakeEngineService(state="stopped")
    made.tested = []
    made.testConnection = lambda callback: made.tested.append(callback)
    made.refresh = lambda: None
    return made


def shown(widget):
    return not widget.isHidden()


@pytest.fixture
def noGpu(monkeypatch, tmp_path):
    """A machine without nvidia-smi."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")


def test_the_first_run_page_offers_the_three_steps_and_asks_nobody_anything(host, fake, noGpu):
    widget = host.loadModule("UniBiomedSlicer")
    host.spin()
    ui = widget.setupPanel.ui
    assert not widget.ui.setupButton.collapsed
    assert ui.installButton.text == "Install"
    assert "Slicer's own Python is not touched" in ui.environmentLabel.text
    # What will be installed is said before anything is.
    host.spin(until=lambda: "About 2 GB" in ui.environmentLabel.text)
    assert "No NVIDIA GPU" in ui.environmentLabel.text
    assert not ui.tryHeadButton.isEnabled()
    assert not ui.downloadButton.isEnabled()
    assert host.messages == []
    assert fake.calls == [] or not [call for call in fake.calls if "start" in str(call)]


def test_with_an_engine_the_page_is_folded_away(host, fake, local):
    local.interpreter = sys.executable
    widget = host.loadModule("UniBiomedSlicer")
    assert widget.ui.setupButton.collapsed
    assert not widget.ui.engineButton.collapsed


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_first_run_with_the_real_engine_and_mini(host, local, root, tmp_path):
    """UNIBIOMED_SCREENSHOTS=docs/images makes the picture for the documentation anew."""
    widget = host.loadModule("UniBiomedSlicer")
    ui = widget.setupPanel.ui
    host.spin()
    # Step 1: an existing Python; a program that is none is refused first.
    host.answer("/bin/false")
    host.click(ui.interpreterButton)
    host.spin(until=lambda: ui.environmentBar.isHidden(), timeout=60)
    assert "failed" in ui.environmentProgressLabel.text
    assert not local.interpreter
    host.answer(sys.executable)
    host.click(ui.interpreterButton)
    host.spin(until=lambda: local.interpreter == sys.executable, timeout=90)
    assert "Engine 0.1.0" in ui.environmentProgressLabel.text
    assert "✔" in ui.step1Mark.text
    # Step 2: Mini is the model from the beginning.
    assert "UniBiomed-Mini" in ui.modelLabel.text
    assert "✔" in ui.step2Mark.text
    # Step 3: the CT phantom, with the real engine.
    host.spin(until=lambda: ui.tryPhantomButton.isEnabled())
    host.click(ui.tryPhantomButton)
    host.spin(until=lambda: not widget.setupPanel._trial.isRunning(), timeout=240)
    assert "liver" in ui.tryResultLabel.text
    assert "not for clinical use" in ui.tryResultLabel.text
    assert "✔" in ui.step3Mark.text
    segmentations = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert len(segmentations) == 1
    assert segmentations[0].GetSegmentation().GetNumberOfSegments() >= 3
    assert shown(ui.openReportButton)
    assert widget.enginePanel.ui.deviceLabel.text
    assert widget.enginePanel.ui.stopButton.isEnabled()
    picture(host, widget, local, root, Path(os.environ.get("UNIBIOMED_SCREENSHOTS", tmp_path)) / "setup.png")
    widget.ui.logButton.collapsed = False
    host.spin()
    host.click(widget.logPanel.ui.reportButton)
    assert "Engine state: ready" in slicer.app.clipboard().text()
    host.click(widget.enginePanel.ui.stopButton)
    host.spin(until=lambda: widget.enginePanel.ui.startButton.isEnabled(), timeout=20)


def picture(host, widget, local, root, path):
    """The module beside the views, as it looks with a managed environment (without a path of this machine)."""
    import photograph
    import render

    record = EnvironmentRecord(
        "env-1",
        EngineSource().version(),
        EngineSource().fingerprint(),
        "3.12.11",
        "2.13.0+cpu",
        "cpu",
        chooseTorchBuild("Linux", "x86_64").reason,
        "2026-01-01T00:00:00+00:00",
    )
    pythonOf(root / "env-1").parent.mkdir(parents=True)
    pythonOf(root / "env-1").touch()
    writeRecord(root, record)
    interpreter, local.interpreter = local.interpreter, ""
    widget.setupPanel.ui.environmentProgressLabel.setVisible(False)
    widget.ui.setupButton.collapsed = False
    widget.setupPanel.refresh()
    host.spin(seconds=0.2)
    panel = host.screenshot(widget.parent, path.with_name("panel.png"), size=(460, 760))
    volume = slicer.util.getNode(PHANTOM)
    painter = photograph if photograph.isPossible() else render
    views = painter.threeViews(volume, slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0], size=(1000, 760))
    render.window(panel, views).save(path, optimize=True)
    path.with_name("panel.png").unlink()
    local.interpreter = interpreter


def test_a_trial_whose_engine_fails_says_why_and_can_be_repeated(host, fake, local):
    local.interpreter = sys.executable
    fake.autoplay = False
    widget = host.loadModule("UniBiomedSlicer")
    widget.ui.setupButton.collapsed = False
    host.spin()
    ui = widget.setupPanel.ui
    host.click(ui.tryHeadButton)
    host.spin(until=lambda: fake.jobs)
    assert not ui.tryHeadButton.isEnabled()
    assert shown(ui.cancelTryButton)
    assert fake.jobs[0].parameters["targets"] == ["brain", "tumor"]
    fake.jobs[0].failWith("The engine ended unexpectedly; look at the log.", "engine_crashed")
    host.spin()
    assert ui.tryResultLabel.text == "The engine ended unexpectedly; look at the log."
    assert ui.tryHeadButton.isEnabled()
    assert "✔" not in ui.step3Mark.text


def test_a_trial_is_cancelled(host, fake, local):
    local.interpreter = sys.executable
    fake.autoplay = False
    widget = host.loadModule("UniBiomedSlicer")
    widget.ui.setupButton.collapsed = False
    host.spin()
    host.click(widget.setupPanel.ui.tryPhantomButton)
    host.spin(until=lambda: fake.jobs)
    host.click(widget.setupPanel.ui.cancelTryButton)
    host.spin(until=lambda: not widget.setupPanel._trial.isRunning())
    assert widget.setupPanel.ui.tryPhantomButton.isEnabled()


def test_a_sample_that_was_deleted_meanwhile_gets_no_segments(host, fake, local):
    local.interpreter = sys.executable
    fake.autoplay = False
    widget = host.loadModule("UniBiomedSlicer")
    widget.ui.setupButton.collapsed = False
    host.spin()
    host.click(widget.setupPanel.ui.tryHeadButton)
    host.spin(until=lambda: fake.jobs)
    slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetFirstNodeByName(HEAD))
    fake.jobs[0].finishWith()
    host.spin(until=lambda: not widget.setupPanel._trial.isRunning())
    assert shown(widget.setupPanel.ui.tryResultLabel)
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_uv_is_asked_for_before_it_is_fetched(host, fake, monkeypatch):
    installed = []
    monkeypatch.setattr(Environment, "needsUv", lambda self: True)
    monkeypatch.setattr(Environment, "install", lambda self, refresh=False: installed.append(refresh))
    widget = host.loadModule("UniBiomedSlicer")
    host.spin()
    host.answer("Cancel")
    host.click(widget.setupPanel.ui.installButton)
    host.spin(seconds=0.1)
    assert "Fetch the installer uv?" in host.messages[-1].text
    assert installed == []
    host.answer("Fetch uv and install")
    host.click(widget.setupPanel.ui.installButton)
    host.spin(until=lambda: installed)
    assert settings().uvConsent
    host.click(widget.setupPanel.ui.installButton)
    assert len(host.messages) == 2


def test_a_mac_that_pytorch_has_left_is_led_to_a_server(host, fake, monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    widget = host.loadModule("UniBiomedSlicer")
    ui = widget.setupPanel.ui
    host.spin(until=lambda: not ui.installButton.isEnabled())
    assert "use a remote server on this Mac" in ui.environmentLabel.text
    host.click(ui.remoteRadio)
    assert "Nothing is installed on this computer" in ui.environmentLabel.text
    host.click(ui.goToRemoteButton)
    assert not widget.ui.remoteButton.collapsed


def test_a_failed_installation_is_told_in_the_step_and_the_log_is_at_hand(host, fake, monkeypatch):
    widget = host.loadModule("UniBiomedSlicer")
    host.spin()
    managed = environment()
    managed._write("error: no such host")
    managed.progressed.emit("Installing PyTorch", 0.3)
    assert shown(widget.setupPanel.ui.environmentBar)
    managed._end(False, "Installing PyTorch failed: no such host. Check the network.")
    assert "no such host" in widget.setupPanel.ui.environmentProgressLabel.text
    assert not shown(widget.setupPanel.ui.environmentBar)
    assert "error: no such host" in widget.logPanel.ui.logView.plainText


def remoteSection(host, widget):
    widget.ui.remoteButton.collapsed = False
    host.spin()
    return widget.remotePanel.ui


def test_consent_is_asked_once_before_a_server_is_used(host, fake, local):
    widget = host.loadModule("UniBiomedSlicer")
    ui = remoteSection(host, widget)
    host.type(ui.urlEdit, "gpu.example.org:8443\n")
    host.type(ui.tokenEdit, "a-token\n")
    host.answer("Cancel")
    host.click(ui.useRemoteButton)
    host.spin(seconds=0.1)
    assert "Send images to gpu.example.org:8443?" in host.messages[-1].text
    assert not local.useRemote
    assert not ui.useRemoteButton.checked
    host.answer("Send images to this server")
    host.click(ui.useRemoteButton)
    host.spin(until=lambda: local.useRemote)
    assert local.remoteUrl == "https://gpu.example.org:8443"
    assert local.remoteToken == "a-token"
    assert "is used; nothing is installed" in widget.setupPanel.ui.environmentLabel.text
    # Off and on again: no second question.
    host.click(ui.useRemoteButton)
    assert not local.useRemote
    host.click(ui.useRemoteButton)
    host.spin(seconds=0.1)
    assert local.useRemote
    assert len(host.messages) == 2
    # The engine service asks through the same memory.
    answers = []
    fake.consentHook("gpu.example.org:8443", answers.append)
    assert answers == [True]
    host.click(ui.withdrawButton)
    assert not local.useRemote
    assert not local.consentGiven("gpu.example.org:8443")


def test_a_bad_address_is_refused_with_a_sentence(host, fake, local):
    widget = host.loadModule("UniBiomedSlicer")
    ui = remoteSection(host, widget)
    host.click(ui.useRemoteButton)
    assert "address of the server first" in ui.remoteLabel.text
    ui.urlEdit.setText("http://gpu.example.org")
    host.type(ui.urlEdit, "\n")
    assert "must be reached with https" in ui.remoteLabel.text
    host.click(ui.useRemoteButton)
    assert not local.useRemote
    assert host.messages == []


def test_the_connection_is_tested_and_the_answer_shown(host, fake):
    widget = host.loadModule("UniBiomedSlicer")
    ui = remoteSection(host, widget)
    host.type(ui.urlEdit, "https://gpu.example.org\n")
    host.click(ui.testButton)
    assert not ui.testButton.isEnabled()
    fake.tested[0](True, "Connected: engine 0.1.0 on an H100.")
    assert ui.testButton.isEnabled()
    assert ui.remoteLabel.text == "Connected: engine 0.1.0 on an H100."


def test_settings_persist_and_both_forms_agree(host, fake, local):
    widget = host.loadModule("UniBiomedSlicer")
    page = slicer.modules.UniBiomedSettingsPage
    assert "UniBiomed" in slicer.app.settingsDialog().panels()
    widget.ui.settingsButton.collapsed = False
    host.spin()
    ui = widget.settingsForm.ui
    host.type(ui.proxyEdit, "http://proxy:3128")
    host.choose(ui.deviceComboBox, "Processor")
    ui.offlineCheckBox.setChecked(True)
    ui.wheelsPathEdit.setCurrentPath("/wheels")
    assert (local.proxy, local.device, local.offline, local.wheelsFolder) == (
        "http://proxy:3128",
        "cpu",
        True,
        "/wheels",
    )
    assert page.form.ui.proxyEdit.text == "http://proxy:3128"
    page.form.ui.indexEdit.setText("https://mirror/simple")
    host.selectModule("UniBiomedSlicer")
    widget.enter()
    assert ui.indexEdit.text == "https://mirror/simple"
    assert qt.QSettings().value("UniBiomed/Installer/IndexUrl") == "https://mirror/simple"


def test_models_are_listed_and_their_licence_is_shown_before_a_download(host, fake, local):
    from UniBiomedSlicerLib.ModelStore import Model, RemoteModel

    local.interpreter = sys.executable
    widget = host.loadModule("UniBiomedSlicer")
    widget.ui.modelsButton.collapsed = False
    ui = widget.modelsPanel.ui
    host.spin(until=lambda: ui.modelTable.rowCount, timeout=30)
    assert ui.modelTable.item(0, 0).text() == "UniBiomed-Mini"
    assert ui.modelTable.item(0, 1).text() == "Apache-2.0"
    assert not ui.removeModelButton.isEnabled()
    downloads = []
    remote = RemoteModel("Luffy503/UniBiomed", "0" * 40, "apache-2.0", 4_200_000_000)
    widget.store.lookUp = lambda name, done: done(True, "", remote)
    widget.store.download = downloads.append
    widget.ui.setupButton.collapsed = False
    host.spin()
    host.answer("Cancel")
    host.click(widget.setupPanel.ui.downloadButton)
    host.spin(seconds=0.1)
    assert "4.2 GB" in host.messages[-1].text
    assert "Licence: apache-2.0" in host.messages[-1].text
    assert downloads == []
    assert "not accepted" in ui.modelsLabel.text
    host.answer("Accept the licence and download")
    host.click(widget.setupPanel.ui.downloadButton)
    host.spin(until=lambda: downloads)
    # Once it is here it can be used, and removed after a question.
    widget.store.models.append(Model(remote.name, "/m", "hf", remote.revision, remote.licence, remote.size, False))
    widget.store.refresh = lambda: None
    widget.store.changed.emit()
    ui.modelTable.selectRow(1)
    host.click(ui.useButton)
    assert local.model == "Luffy503/UniBiomed"
    removed = []
    widget.store.remove = removed.append
    ui.modelTable.selectRow(1)
    host.answer("Remove")
    host.click(ui.removeModelButton)
    host.spin(until=lambda: removed)
    assert local.model == "mini"


def test_the_sample_images_are_registered_with_their_checksums(host, fake):
    import SampleData

    host.loadModule("UniBiomedSlicer")
    sources = slicer.modules.sampleDataSources["UniBiomed"]
    assert [source.sampleName for source in sources] == [HEAD, PHANTOM]
    for source in sources:
        assert Path(source.thumbnailFileName).is_file()
    for sample in sampleImages().values():
        assert hashlib.sha256(sample.path.read_bytes()).hexdigest() == sample.sha256
    node = SampleData.SampleDataLogic().downloadSamples(PHANTOM)[0]
    assert node.GetImageData().GetDimensions() == (256, 256, 32)


def test_the_modules_own_test_passes(host, fake):
    host.loadModule("UniBiomedSlicer")
    import UniBiomedSlicer

    UniBiomedSlicer.UniBiomedSlicerTest().runTest()


def test_disk_use_is_measured_when_it_is_looked_at(host, fake, root):
    (root / "cache").mkdir(parents=True)
    (root / "cache" / "wheel").write_bytes(b"x" * 5_000_000)
    widget = host.loadModule("UniBiomedSlicer")
    table = widget.maintenancePanel.ui.diskTable
    assert table.rowCount == 0
    widget.ui.maintenanceButton.collapsed = False
    host.spin(until=lambda: table.rowCount > 0)
    assert [table.item(row, 1).text() for row in range(table.rowCount)] == ["5.0 MB", "5.0 MB"]
    host.answer("Remove")
    host.click(widget.maintenancePanel.ui.removeButton)
    host.spin(until=lambda: not (root / "cache").exists(), timeout=10)
    assert "5.0 MB are freed" in host.messages[-1].text
    host.spin(until=lambda: "removed" in widget.maintenancePanel.ui.diskLabel.text)


def test_a_running_engine_is_stopped_before_its_environment_is_removed(host, fake, root):
    (root / "cache").mkdir(parents=True)
    (root / "cache" / "wheel").write_bytes(b"x" * 1000)
    fake.setState("ready", "Ready.")
    fake.stop = lambda: None
    widget = host.loadModule("UniBiomedSlicer")
    widget.ui.maintenanceButton.collapsed = False
    host.spin(until=lambda: widget.maintenancePanel.ui.removeButton.isEnabled())
    host.answer("Remove")
    host.click(widget.maintenancePanel.ui.removeButton)
    host.spin(until=lambda: "Stopping" in widget.maintenancePanel.ui.diskLabel.text)
    assert (root / "cache").exists()
    fake.setState("stopped")
    host.spin(until=lambda: "was removed" in widget.maintenancePanel.ui.diskLabel.text)
    assert not (root / "cache").exists()


def test_the_engine_panel_follows_the_service(host, fake, local):
    local.interpreter = sys.executable
    widget = host.loadModule("UniBiomedSlicer")
    host.spin()
    ui = widget.enginePanel.ui
    assert ui.startButton.isEnabled()
    fake.setState("ready", "Ready.")
    fake.capabilities = {
        "version": "0.1.0",
        "device": {"kind": "cuda", "name": "H100", "reason": "", "memory_total": 80e9, "memory_free": 60e9},
        "memory": {"rss": 3e9, "total": 128e9, "available": 100e9},
        "model": {"title": "UniBiomed-Mini", "version": "1"},
    }
    fake.capabilitiesChanged.emit()
    assert ui.deviceMemoryBar.format == "20.0 GB of 80.0 GB in use"
    assert ui.memoryBar.format == "28.0 GB of 128.0 GB in use, the engine 3.0 GB"
    assert ui.restartButton.isEnabled()
    fake.setState("crashed", "The engine ended unexpectedly.")
    assert not shown(ui.factsWidget)
    assert ui.startButton.isEnabled()
    assert ui.stateLabel.text == "The engine ended unexpectedly."


def test_leaving_and_cleaning_up_leaves_no_listener(host, fake):
    before = len(fake.stateChanged._listeners)
    host.loadModule("UniBiomedSlicer")
    assert len(fake.stateChanged._listeners) > before
    slicer.app.moduleManager().module("UniBiomedSlicer").widgetRepresentation().self().cleanup()
    assert len(fake.stateChanged._listeners) == before

# SPDX-License-Identifier: Apache-2.0
"""The stand-in itself: what the other tests rely on, and what it must refuse."""

from pathlib import Path

import numpy as np
import pytest
import qt
import slicer

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def example(host):
    host.moduleFolders.append(FIXTURES)
    yield host.loadModule("HostExample")
    host.moduleFolders.remove(FIXTURES)


def test_a_module_is_loaded_clicked_and_typed_into(host, example, tmp_path):
    assert slicer.modules.hostexample.title == "Host example"
    assert slicer.modules.HostExampleInstance.starts == 1
    assert slicer.modules.HostExampleWidget is example
    host.click(example.ui.applyButton)
    assert example.ui.statusLabel.text == "Applied 1"
    host.spin(until=lambda: example.ui.statusLabel.text == "later", timeout=2)
    example.ui.promptEdit.clear()
    host.type(example.ui.promptEdit, "spleen")
    assert example.parameters.prompt == "spleen"
    path = host.screenshot(example.parent, tmp_path / "example.png")
    assert path.stat().st_size > 2000


def test_the_parameter_node_and_the_widgets_follow_each_other(host, example):
    volume = host.addVolume(np.zeros((2, 3, 4), np.int16), name="CT")
    host.choose(example.ui.inputSelector, "CT")
    assert example.parameters.inputVolume is volume
    example.parameters.strength = 7.5
    assert example.ui.strengthSlider.value == 7.5
    example.ui.colourBox.currentIndex = 1
    assert example.parameters.colour == "green"
    with pytest.raises(ValueError, match="within range"):
        example.parameters.strength = 11
    slicer.mrmlScene.RemoveNode(volume)
    assert example.ui.inputSelector.currentNode() is None
    assert example.parameters.inputVolume is None


def test_a_signal_that_does_not_exist_is_refused_and_told(host):
    button = qt.QPushButton("x")
    assert button.connect("clicked(bool)", lambda: None) is True
    assert button.connect("klicked(bool)", lambda: None) is False
    assert "no signal 'klicked(bool)'" in host.takeProblems()[0]


def test_signal_arguments_are_cut_and_fill_defaults_as_in_pythonqt(host):
    button, seen = qt.QPushButton("x"), []
    button.connect("clicked(bool)", lambda: seen.append("none"))
    button.connect("clicked(bool)", lambda value=1: seen.append(value))
    host.click(button)
    assert seen == ["none", False]


@pytest.mark.parametrize("isKept", [False, True])
def test_an_object_whose_last_reference_goes_within_its_own_signal_is_refused(host, isKept):
    held = [qt.QProcess()]

    def onError(error):
        held[0].deleteLater()
        if isKept:
            process = held[0]
            qt.QTimer.singleShot(0, lambda: process)
        held.clear()

    held[0].connect("errorOccurred(QProcess::ProcessError)", onError)
    held[0].start(str(FIXTURES / "no-such-program"), [])
    host.spin(until=lambda: not held, timeout=5)
    assert [text.split(":")[0] for text in host.takeProblems()] == ([] if isKept else ["QProcess"])


def test_an_exception_in_a_slot_or_timer_is_a_problem(host):
    button = qt.QPushButton("x")
    button.connect("clicked()", lambda: 1 / 0)
    host.click(button)
    assert "ZeroDivisionError" in host.takeProblems()[0]
    qt.QTimer.singleShot(0, lambda: [][1])
    host.spin()
    assert "IndexError" in host.takeProblems()[0]


def test_properties_are_attributes_and_unknown_ones_are_refused(host):
    label = qt.QLabel("a")
    assert label.text == "a"
    label.text = "b"
    label.setText(label.text + "c")
    assert label.text == "bc"
    with pytest.raises(TypeError):
        label.text()
    with pytest.raises(AttributeError):
        label.txet = "b"
    with pytest.raises(AttributeError):
        label.setText = "b"
    assert bool(label)
    label.deleteLater()
    host.spin()
    assert not label
    with pytest.raises(ValueError, match="deleted"):
        label.setText("d")


def test_a_process_takes_str_bytes_and_qbytearray_but_no_bytearray(host):
    process, out = qt.QProcess(), []
    process.connect("readyReadStandardOutput()", lambda: out.append(process.readAllStandardOutput().data()))
    ended = []
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: ended.append((code, status)))
    process.start("cat", [])
    process.write(b"a\0b")
    process.write("é")
    process.write(qt.QByteArray(b"z"))
    assert process.write(bytearray(b"no")) == -1
    assert "bytearray" in host.takeProblems()[0]
    process.closeWriteChannel()
    host.spin(until=lambda: ended)
    assert b"".join(out) == "a\0béz".encode()
    assert ended == [(0, qt.QProcess.NormalExit)] == [(0, 0)]
    assert process.state() == qt.QProcess.NotRunning == 0
    with pytest.raises(TypeError):
        process.start("cat", [1])
    assert host.takeProblems()


def test_qbytearray_gives_its_bytes_only_by_data(host):
    array = qt.QByteArray(b"a\0b")
    assert array.data() == b"a\0b"
    assert array.length() == 3
    with pytest.raises(TypeError):
        bytes(array)
    with pytest.raises(TypeError):
        len(array)


def test_dialogs_are_recorded_and_answered(host):
    slicer.util.errorDisplay("It broke.")
    assert host.messages[-1].text == "It broke."
    host.answer("Yes")
    assert slicer.util.confirmYesNoDisplay("Go on?")
    assert not slicer.util.confirmYesNoDisplay("Go on?")
    host.answer("/tmp/x.txt")
    assert qt.QFileDialog.getSaveFileName(None, "Save", "", "*.txt") == "/tmp/x.txt"


def test_a_scene_is_saved_closed_and_loaded_again(host, tmp_path):
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    host.addVolume(array, np.diag([1, 2, 3, 1]), name="CT")
    text = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", "Report")
    text.SetText("normal")
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    host.newScene()
    assert not slicer.util.getNodesByClass("vtkMRMLTextNode")
    slicer.util.loadScene(path)
    assert slicer.util.getNode("Report").GetText() == "normal"
    assert (slicer.util.arrayFromVolume(slicer.util.getNode("CT")) == array).all()


def test_the_slice_views_show_a_volume(host):
    node = host.addVolume(np.zeros((10, 20, 30), np.int16), np.diag([1, 1, 2, 1]))
    host.showVolume(node)
    logic = slicer.app.layoutManager().sliceWidget("Red").sliceLogic()
    assert logic.GetSliceCompositeNode().GetBackgroundVolumeID() == node.GetID()
    logic.SetSliceOffset(6)
    assert host.sliceNode("Red").GetSliceToRAS().GetElement(2, 3) == 6


def test_the_stall_meter_sees_a_stall(host):
    import time

    with host.stallMeter() as meter:
        qt.QTimer.singleShot(30, lambda: time.sleep(0.08))
        host.spin(seconds=0.3)
    assert 0.07 < meter.longest < 0.2


def test_a_network_reply_streams_lines(host):
    import http.server
    import threading

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.end_headers()
            self.wfile.write(self.headers["Authorization"].encode() + b"\n" + body)

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    manager = qt.QNetworkAccessManager()
    proxy = qt.QNetworkProxy()
    proxy.setType(qt.QNetworkProxy.NoProxy)
    manager.setProxy(proxy)
    request = qt.QNetworkRequest(qt.QUrl(f"http://127.0.0.1:{server.server_port}/x"))
    request.setRawHeader(qt.QByteArray(b"Authorization"), qt.QByteArray(b"Bearer t"))
    request.setHeader(qt.QNetworkRequest.ContentTypeHeader, "application/octet-stream")
    reply, ended = manager.post(request, qt.QByteArray(b"\0\1")), []
    reply.connect("finished()", lambda: ended.append(reply.readAll().data()))
    reply.connect("uploadProgress(qint64,qint64)", lambda sent, total: None)
    host.spin(until=lambda: ended)
    assert ended == [b"Bearer t\n\0\1"]
    assert reply.error() == 0
    assert reply.attribute(qt.QNetworkRequest.HttpStatusCodeAttribute) == 201
    server.shutdown()
    server.server_close()


def test_static_message_boxes_are_answered_too(host):
    host.answer("Yes")
    buttons = qt.QMessageBox.Yes | qt.QMessageBox.No
    assert qt.QMessageBox.question(None, "Title", "Go on?", buttons) == qt.QMessageBox.Yes
    assert qt.QMessageBox.question(None, "Title", "Go on?", buttons) == qt.QMessageBox.No
    assert host.messages[-1].title == "Title"


def test_a_registered_sample_is_loaded_from_its_file(host, tmp_path):
    import SampleData

    node = host.addVolume(np.arange(24, dtype=np.int16).reshape(2, 3, 4), name="Saved")
    path = tmp_path / "sample.nrrd"
    assert slicer.util.saveNode(node, str(path))
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Testing", sampleName="Small", uris=path.as_uri(), fileNames=path.name, nodeNames="Small"
    )
    assert SampleData.downloadSample("Small").GetName() == "Small"


def test_an_editor_effect_written_in_python_is_driven_by_the_real_logic(host):
    editor = host.segmentEditor()
    assert editor.availableEffectNames() == []
    assert editor.activeEffect() is None


def test_a_picture_is_loaded_as_slicer_lays_it(host, tmp_path):
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (6, 9, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    node = slicer.util.loadVolume(str(tmp_path / "picture.png"))
    assert node.IsA("vtkMRMLVectorVolumeNode")
    assert (slicer.util.arrayFromVolume(node)[0] == pixels).all()
    ras = [0.0] * 4
    matrix = slicer.vtkMRMLSliceNode().GetSliceToRAS()
    node.GetIJKToRASMatrix(matrix)
    matrix.MultiplyPoint((1, 1, 0, 1), ras)
    assert ras[:3] == [-1, -1, 0]

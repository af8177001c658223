import pytest

from data.files import whole_file, write_whole


def test_a_file_is_written_with_its_folder(tmp_path):
    path = tmp_path / "new" / "verse.txt"
    write_whole(path, "In the beginning — æ")
    assert path.read_bytes() == "In the beginning — æ".encode()
    assert [file.name for file in path.parent.iterdir()] == ["verse.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "verse.txt"
    write_whole(path, "old")
    with pytest.raises(OSError, match="disk"), whole_file(path) as unfinished:
        unfinished.write_text("half")
        raise OSError("the disk is full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_do_not_take_each_others_temporary_file(tmp_path):
    path = tmp_path / "verse.txt"
    with whole_file(path) as first, whole_file(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"


def test_the_temporary_file_lies_where_it_is_asked_for(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    with whole_file(tmp_path / "split" / "verse.txt", other) as unfinished:
        unfinished.write_text("whole")
        assert unfinished.parent == other
    assert (tmp_path / "split" / "verse.txt").read_text() == "whole"

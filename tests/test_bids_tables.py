"""Tables as data sets bring them: encodings, gaps, missing columns. Ids as in the design."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurodnn import DataWarning, InputError
from neurodnn.bids import read_json, read_numbers, read_tsv, require_file, write_derivative
from neurodnn.bids.serialize import table_bytes

PLAIN = "onset\tstim_file\n0.5\t01\n2\tn/a\n"


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "events.tsv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_everything_is_text_and_gaps_are_nan(write):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = read_tsv(write("a\tb\tc\n01\tn/a\tNaN\n1\t\tTrue\n\n 25149.0 \tN/A\tx y\n"))
    assert table["a"].tolist() == ["01", "1", "25149.0"]
    assert table["b"].isna().all()
    assert table["c"].tolist() == ["NaN", "True", "x y"]
    assert table["b"].dtype == table["a"].dtype


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xef\xbb\xbf" + PLAIN.encode(), "byte-order mark"),
        (PLAIN.replace("\n", "\r\n"), "ends its lines with CR"),
        (PLAIN.replace("\n", "\r"), "ends its lines with CR"),
        (PLAIN.replace("stim_file", "\u00a0stim_file").replace("01", "01\u00a0"), "non-breaking"),
        (b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode(), "mark and ends its lines"),
    ],
)
def test_b42_read_with_a_warning_that_names_the_file(write, content, words):
    with pytest.warns(DataWarning, match=rf"events\.tsv: .*{words}"):
        table = read_tsv(write(content), required=["onset", "stim_file"])
    assert table.columns.tolist() == ["onset", "stim_file"]
    assert table["stim_file"].iloc[0] == "01"
    assert pd.isna(table["stim_file"].iloc[1])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_b42_utf16_is_refused_with_the_remedy(write, encoding):
    path = write(PLAIN.encode(encoding))
    with pytest.raises(InputError, match=r"events\.tsv: (is UTF-16|holds NUL).*iconv -f UTF-16"):
        read_tsv(path)


def test_b42_other_encodings_are_refused(write):
    path = write("onset\tstim_file\n1\tcafé\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"is not UTF-8: byte 21 .*iconv -f LATIN1"):
        read_tsv(path)


def test_b41_missing_column_lists_those_present(write):
    with pytest.raises(
        InputError, match=r"events\.tsv: has no column 'stimfile' \(allowed: onset, stim_file\)\. "
        "Did you mean stim_file"
    ):  # fmt: skip
        read_tsv(write(PLAIN), required=["stimfile"])
    with pytest.raises(InputError, match="separated by commas"):
        read_tsv(write(PLAIN.replace("\t", ",")), required=["onset"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a\tb\n1\n", "line 2 has 1 cells, the header has 2.*n/a"),
        ("a\tb\n1\t2\n1\t2\t3\n", "line 3 has 3 cells"),
        ("a\ta\n1\t2\n", r"empty or repeated column name \(got 'a'"),
        ("a\t\n1\t2\n", "empty or repeated column name"),
        ("\n \n", "no header"),
        ('a\tb\n"x\t2\n', "cannot be read: unexpected end of data"),
        ('a\tb\n"x"y\t2\n', "line 2 cannot be read"),
        ("", "is empty"),
        ("../.git/annex/objects/x/y/MD5E-s1--0.tsv", "git-annex pointer.*datalad get"),
        ("/annex/objects/MD5E-s1--0.tsv\n", "git-annex pointer.*datalad get"),
    ],
)
def test_broken_tables_are_refused(write, content, words):
    with pytest.raises(InputError, match=rf"events\.tsv: .*{words}"):
        read_tsv(write(content))


def test_files_that_are_not_here(tmp_path):
    (tmp_path / "link.tsv").symlink_to(".git/annex/objects/x.tsv")
    with pytest.raises(InputError, match=r"link\.tsv: dangling link.*datalad get"):
        require_file(tmp_path / "link.tsv")
    with pytest.raises(InputError, match="none.tsv: does not exist"):
        read_tsv(tmp_path / "none.tsv")
    with pytest.raises(InputError, match="is not a file"):
        read_tsv(tmp_path)


def test_b42_non_breaking_space_within_a_column_name(write):
    with pytest.warns(DataWarning, match="non-breaking"):
        assert read_tsv(write("stim\u00a0file\na\n")).columns.tolist() == ["stim file"]


def test_header_without_rows(write):
    table = read_tsv(write("a\tb\n"))
    assert table.columns.tolist() == ["a", "b"]
    assert len(table) == 0


def test_numbers_of_a_column(write):
    table = read_tsv(write("onset\tx\n1.5\ta\nn/a\tb\n-2e3\tc\n"))
    numbers = read_numbers(table, "onset", where="events.tsv")
    np.testing.assert_array_equal(numbers, [1.5, np.nan, -2000.0])
    with pytest.raises(InputError, match=r"events.tsv: column 'x' holds no number in data row 1"):
        read_numbers(table, "x", where="events.tsv")
    with pytest.raises(InputError, match="has no column 'onse'.*Did you mean onset"):
        read_numbers(table, "onse", where="events.tsv")


cells = st.one_of(
    st.none(),
    st.text(
        st.characters(codec="utf-8", exclude_characters="\r\ufeff\u00a0\0"), min_size=1, max_size=8
    ).filter(lambda text: text.strip() == text and text.lower() != "n/a"),
)


@given(st.lists(st.tuples(cells, st.floats(allow_infinity=False)), min_size=1, max_size=5))
def test_tables_survive_a_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("tables") / "a.tsv"
    table = pd.DataFrame(rows, columns=["name", "rho"])
    path.write_bytes(table_bytes(table))
    back = read_tsv(path)
    assert [None if pd.isna(cell) else cell for cell in back["name"]] == [name for name, _ in rows]
    numbers = read_numbers(back, "rho", where="a.tsv")
    np.testing.assert_array_equal(numbers, [rho for _, rho in rows])


def test_table_of_every_type(tmp_path):
    table = pd.DataFrame({"i": [1, 2], "b": [True, False], "f": [np.float32(0.1), np.nan],
                          "t": ["01", None], "n": pd.array([1, None], dtype="Int64"),
                          "d": ["a\tb", 'say "x"']})  # fmt: skip
    write_derivative(tmp_path / "a.tsv", table)
    assert (tmp_path / "a.tsv").read_text() == (
        "i\tb\tf\tt\tn\td\n"
        f'1\ttrue\t{float(np.float32(0.1))!r}\t01\t1\t"a\tb"\n'
        '2\tfalse\tn/a\tn/a\tn/a\t"say ""x"""\n'
    )


@pytest.mark.parametrize("content", ["{", "[1]", '"x"', "[" * 100_000])
def test_json_that_is_none(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"a\.json: (is not valid JSON|holds no JSON object)"):
        read_json(path)

"""Mounts: the job sees the directory, can write into it or not, and what it wrote is the daemon's to keep."""

import os

from container_executor.models import JobState, Mount
from container_executor.testing.bench import Bench
from container_executor.testing.cases.base import Cases
from container_executor.testing.features import needs


class MountCases(Cases):
    @needs("mounts")
    def test_a_job_reads_what_is_in_a_mounted_directory(self, bench: Bench) -> None:
        place = bench.folder()
        (place / "with space").mkdir()
        (place / "with space" / "é.txt").write_text("content\n")

        printed = bench.printed("cat '/ce data/with space/é.txt'", mounts=(Mount(str(place), "/ce data"),))

        assert printed == b"content\n"

    @needs("mounts")
    def test_what_a_job_writes_stays(self, bench: Bench) -> None:
        place = bench.folder()

        bench.printed("mkdir /ce-data/sub && echo result > /ce-data/sub/file", mounts=(Mount(str(place), "/ce-data"),))

        written = place / "sub" / "file"
        assert written.read_text() == "result\n"
        written.unlink()
        written.parent.rmdir()

    @needs("mounts")
    def test_what_a_job_writes_belongs_to_the_user_of_the_site(self, bench: Bench) -> None:
        place = bench.folder()

        bench.printed("echo result > /ce-data/file", mounts=(Mount(str(place), "/ce-data"),))

        assert (place / "file").stat().st_uid == (os.getuid() if self.file_owner is None else self.file_owner)

    @needs("mounts", "read_only_mounts")
    def test_a_job_cannot_write_into_a_read_only_mount(self, bench: Bench) -> None:
        place = bench.folder()
        (place / "file").write_text("kept\n")
        mount = Mount(str(place), "/ce-data", read_only=True)

        handle = bench.start("cat /ce-data/file; echo spoilt > /ce-data/file", mounts=(mount,))

        assert bench.ended(handle).state is JobState.FAILED
        assert (place / "file").read_text() == "kept\n"

    @needs("mounts")
    def test_a_mount_may_lie_inside_another(self, bench: Bench) -> None:
        parent, child = bench.folder(), bench.folder()
        (parent / "outer").write_text("outer\n")
        (parent / "sub").mkdir()
        (child / "inner").write_text("inner\n")
        mounts = (Mount(str(parent), "/ce-data"), Mount(str(child), "/ce-data/sub"))

        assert bench.printed("cat /ce-data/outer /ce-data/sub/inner", mounts=mounts) == b"outer\ninner\n"

    @needs("mounts", "ranks")
    def test_all_ranks_share_a_mount(self, bench: Bench) -> None:
        place = bench.folder()
        mounts = (Mount(str(place), "/ce-data"),)

        handle = bench.start("echo $RANK > /ce-data/$RANK", mounts=mounts, processes_per_node=2)

        assert bench.ended(handle).state is JobState.SUCCEEDED
        assert sorted(path.name for path in place.iterdir()) == ["0", "1"]

"""Images: from a registry, from archives, once each, and never half of one."""

import base64
import hashlib
import json
import secrets
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest
from container_executor_slurm.conversion import refusal
from container_executor_slurm.references import parse

from container_executor.errors import RejectedError, UnavailableError, UnsupportedError
from container_executor.models import FailureClass, Progress
from container_executor.testing import require_engine
from container_executor.testing.bench import Bench, wait_for

MakeBench = Callable[..., Bench]
Shims = Callable[[Mapping[str, str]], Path]

COUNTED = 'case " $* " in *" build "*) echo >> {count};; esac; exec "$real" "$@"'
STUCK = 'case " $* " in *" build "*) : > {sign}; exec sleep 60;; esac; exec "$real" "$@"'
BROKEN = 'case " $* " in *" build "*) echo half > "$3"; echo "FATAL: no space left on device" >&2; exit 255;; esac; exec "$real" "$@"'


@pytest.fixture(scope="module")
def registry() -> Mapping[str, str]:
    return require_engine("registry")


@pytest.fixture
def image(registry: Mapping[str, str]) -> str:
    """An image of the open registry, under a tag that nobody has asked for yet."""
    return tagged(registry, f"t{secrets.token_hex(6)}", "one")


@pytest.fixture
def bench(make_bench: MakeBench, slurm_folder: Path) -> Bench:
    """A bench whose cache of images is empty."""
    return make_bench(image_cache=slurm_folder / secrets.token_hex(4))


def tagged(registry: Mapping[str, str], tag: str, version: str) -> str:
    """Push the registry's busybox with VERSION in its environment under *tag*, and return its reference."""
    host, name = registry["CE_REGISTRY_OPEN"], registry["CE_REGISTRY_OPEN_IMAGE"].partition("/")[2].rpartition(":")[0]
    place = f"http://{host}/v2/{name}"
    manifest = json.loads(call("GET", f"{place}/manifests/latest"))
    settings = json.loads(call("GET", f"{place}/blobs/{manifest['config']['digest']}"))
    settings["config"]["Env"].append(f"VERSION={version}")
    content = json.dumps(settings).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    upload = urllib.request.Request(f"{place}/blobs/uploads/", data=b"", method="POST")
    with urllib.request.urlopen(upload, timeout=30) as answer:
        call("PUT", f"{answer.headers['Location']}&digest={digest}", content, "application/octet-stream")
    manifest["config"] |= {"digest": digest, "size": len(content)}
    call("PUT", f"{place}/manifests/{tag}", json.dumps(manifest).encode(), manifest["mediaType"])
    return f"{host}/{name}:{tag}"


def call(method: str, url: str, content: bytes | None = None, kind: str = "") -> bytes:
    headers = {
        "Accept": "application/vnd.docker.distribution.manifest.v2+json",
        **({"Content-Type": kind} if kind else {}),
    }
    request = urllib.request.Request(url, data=content, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        answered: bytes = answer.read()
    return answered


def prepared(bench: Bench, image: str, *, pull: bool = False) -> str | None:
    job = bench.job("true", image=image, pull=pull)
    return bench.backend.prepare(bench.backend.plan(job), lambda _progress: None, Event())


@pytest.mark.engine("slurm")
@pytest.mark.engine("registry")
@pytest.mark.parametrize("scheme", ["", "docker://"])
def test_an_image_of_a_registry_runs_and_is_pinned(bench: Bench, image: str, scheme: str) -> None:
    reported: list[Progress] = []
    job = bench.job('echo "$VERSION"', image=scheme + image)

    pinned = bench.backend.prepare(bench.backend.plan(job), reported.append, Event())

    assert pinned is not None
    assert Path(pinned).name == f"{hashlib.sha256(Path(pinned).read_bytes()).hexdigest()}.sif"
    assert reported, "the steps of a conversion are told"
    assert not [progress for progress in reported if "/" in progress.text], "but no place of this machine"
    handle = bench.submit(job)
    assert bench.output(handle) == b"one\n"
    assert bench.ended(handle).ranks[0].image_id == pinned


@pytest.mark.engine("slurm")
@pytest.mark.engine("registry")
def test_a_tag_that_moved_is_pulled_anew_only_when_asked_for(bench: Bench, registry: Mapping[str, str]) -> None:
    tag = f"t{secrets.token_hex(6)}"
    image = tagged(registry, tag, "one")
    first = prepared(bench, image)
    tagged(registry, tag, "two")

    again, anew = prepared(bench, image), prepared(bench, image, pull=True)

    assert again == first
    assert anew != first
    assert bench.printed('echo "$VERSION"', image=image) == b"two\n"
    assert bench.printed('echo "$VERSION"', image=first) == b"one\n", "a pinned image stays what it was"


@pytest.mark.engine("slurm")
@pytest.mark.engine("registry")
def test_eight_jobs_that_want_a_new_image_at_once_convert_it_once(
    make_bench: MakeBench, shims: Shims, image: str, slurm_folder: Path, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    commands = shims({"apptainer": COUNTED.format(count=count)})
    cache = slurm_folder / secrets.token_hex(4)
    benches = [make_bench(image_cache=cache, commands=commands) for _ in range(8)]

    with ThreadPoolExecutor(8) as threads:
        pinned = set(threads.map(lambda bench: prepared(bench, image), benches))

    assert len(pinned) == 1
    assert len(count.read_text().splitlines()) == 1


@pytest.mark.engine("slurm")
@pytest.mark.engine("registry")
def test_a_conversion_that_is_stopped_leaves_nothing(
    make_bench: MakeBench, shims: Shims, image: str, slurm_folder: Path, tmp_path: Path
) -> None:
    cache, sign, stop = slurm_folder / secrets.token_hex(4), tmp_path / "sign", Event()
    stuck = make_bench(image_cache=cache, commands=shims({"apptainer": STUCK.format(sign=sign)}))
    plan = stuck.backend.plan(stuck.job("true", image=image))
    answers: list[str | None] = []
    preparing = Thread(target=lambda: answers.append(stuck.backend.prepare(plan, lambda _progress: None, stop)))
    preparing.start()
    wait_for(sign.exists, stuck.patience, "the conversion")

    stop.set()

    wait_for(lambda: answers, stuck.patience, "the return of prepare")
    preparing.join()
    assert answers == [None]
    assert [*(cache / "new").iterdir(), *(cache / "sif").iterdir()] == []
    assert prepared(make_bench(image_cache=cache), image) is not None


@pytest.mark.engine("slurm")
@pytest.mark.engine("registry")
def test_half_an_image_is_never_used(make_bench: MakeBench, shims: Shims, image: str, slurm_folder: Path) -> None:
    cache = slurm_folder / secrets.token_hex(4)
    broken = make_bench(image_cache=cache, commands=shims({"apptainer": BROKEN}))

    with pytest.raises(UnavailableError) as failed:
        prepared(broken, image)

    assert failed.value.failure == FailureClass.DISK_FULL
    assert [*(cache / "new").iterdir(), *(cache / "sif").iterdir()] == []
    assert bench_runs(make_bench(image_cache=cache), image)


def bench_runs(bench: Bench, image: str) -> bool:
    return bench.printed("echo ran", image=image) == b"ran\n"


@pytest.mark.engine("slurm")
@pytest.mark.engine("registry")
def test_a_registry_without_tls_must_be_named(
    make_bench: MakeBench, registry: Mapping[str, str], slurm_folder: Path
) -> None:
    # Apptainer speaks plain HTTP to loopback addresses unasked: the rig's other name for this machine is none.
    host = f"hpc:{registry['CE_REGISTRY_OPEN'].rpartition(':')[2]}"
    image = registry["CE_REGISTRY_OPEN_IMAGE"].replace(registry["CE_REGISTRY_OPEN"], host)
    cache = slurm_folder / secrets.token_hex(4)

    with pytest.raises(UnavailableError) as failed:
        prepared(make_bench(image_cache=cache), image)

    assert failed.value.failure == FailureClass.IMAGE_TRANSIENT
    assert bench_runs(make_bench(image_cache=cache, insecure_registries=(host,)), image)


@pytest.mark.engine("slurm")
@pytest.mark.engine("registry")
def test_a_registry_with_a_login_takes_that_of_the_site_and_nothing_shows_it(
    make_bench: MakeBench, registry: Mapping[str, str], slurm_folder: Path
) -> None:
    cache, image = slurm_folder / secrets.token_hex(4), registry["CE_REGISTRY_IMAGE"]
    right = logins(registry, slurm_folder, registry["CE_REGISTRY_PASSWORD"])
    wrong = logins(registry, slurm_folder, "wrong")

    for settings in ({}, {"docker_config": wrong}):
        with pytest.raises(RejectedError) as refused:
            prepared(make_bench(image_cache=cache, **settings), image)
        assert refused.value.failure == FailureClass.IMAGE_AUTH
    assert bench_runs(make_bench(image_cache=cache, docker_config=right), image)
    kept = b"".join(path.read_bytes() for path in cache.rglob("*") if path.is_file())
    assert registry["CE_REGISTRY_PASSWORD"].encode() not in kept


def logins(registry: Mapping[str, str], folder: Path, password: str) -> Path:
    place = folder / secrets.token_hex(4)
    place.mkdir(mode=0o700)
    auth = base64.b64encode(f"{registry['CE_REGISTRY_USER']}:{password}".encode()).decode()
    (place / "config.json").write_text(json.dumps({"auths": {registry["CE_REGISTRY"]: {"auth": auth}}}))
    return place


@pytest.mark.engine("slurm")
@pytest.mark.engine("registry")
def test_an_image_that_the_registry_does_not_have_is_not_found(bench: Bench, registry: Mapping[str, str]) -> None:
    with pytest.raises(RejectedError) as refused:
        prepared(bench, f"{registry['CE_REGISTRY_OPEN_IMAGE']}-not")

    assert refused.value.failure == FailureClass.IMAGE_NOT_FOUND


@pytest.mark.engine("slurm")
def test_an_archive_is_converted_and_keeps_its_working_directory(bench: Bench, rig: Mapping[str, str]) -> None:
    folder = Path(rig["CE_SLURM_IMAGE_ARCHIVE"]).parent

    printed = bench.printed('pwd; echo "$FROM_IMAGE"', image=f"docker-archive:{folder / 'entrypoint.tar'}")

    assert printed == b"/srv\nyes\n", "and its entrypoint did not run"
    assert bench_runs(bench, f"docker-archive:{rig['CE_SLURM_IMAGE_ARCHIVE']}")


@pytest.mark.engine("slurm")
def test_an_archive_that_changed_is_another_image(
    make_bench: MakeBench, rig: Mapping[str, str], slurm_folder: Path
) -> None:
    root = slurm_folder / secrets.token_hex(4)
    root.mkdir()
    bench = make_bench(image_roots=(root,))
    archive, folder = root / "image.tar", Path(rig["CE_SLURM_IMAGE_ARCHIVE"]).parent
    archive.write_bytes((folder / "busybox.tar").read_bytes())
    first = prepared(bench, f"docker-archive:{archive}")
    archive.write_bytes((folder / "entrypoint.tar").read_bytes())

    second = prepared(bench, f"docker-archive:{archive}")

    assert first != second


@pytest.mark.engine("slurm")
def test_a_link_does_not_lead_out_of_where_images_may_be(
    make_bench: MakeBench, rig: Mapping[str, str], slurm_folder: Path
) -> None:
    root = slurm_folder / secrets.token_hex(4)
    root.mkdir()
    (root / "image.sif").symlink_to(rig["CE_SLURM_IMAGE"])

    with pytest.raises(RejectedError, match="is a link to") as refused:
        prepared(make_bench(image_roots=(root,)), str(root / "image.sif"))

    assert refused.value.failure == FailureClass.INVALID_SPEC


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("busybox:1.36", "docker://busybox:1.36"),
        (" docker://host:5000/a/b@sha256:00 ", "docker://host:5000/a/b@sha256:00"),
        ("/images/a b.sif", "/images/a b.sif"),
        ("docker-archive:/images/x.tar:busybox:latest", "docker-archive:/images/x.tar:busybox:latest"),
        ("oci:/images/folder", "oci:/images/folder"),
    ],
)
def test_a_reference_becomes_what_apptainer_takes(text: str, uri: str) -> None:
    assert parse(text, (Path("/images"),)).uri == uri


@pytest.mark.parametrize(
    "text",
    [
        "",
        "library://user/image",
        "shub://x",
        "/etc/passwd",
        "/images/../etc/passwd",
        "docker-archive:/etc/x.tar",
        "--fakeroot",
        "a b",
        "$(id)",
        "../x.sif",
    ],
)
def test_other_sources_and_places_are_refused(text: str) -> None:
    with pytest.raises(UnsupportedError) as refused:
        parse(text, (Path("/images"),))

    assert [problem.path for problem in refused.value.problems] == ["kwargs.docker-image"]


@pytest.mark.parametrize(
    ("said", "kind", "failure"),
    [
        (
            "GET http://h/v2/a/manifests/1: MANIFEST_UNKNOWN: manifest unknown; map[Tag:1]",
            RejectedError,
            "image_not_found",
        ),
        ("GET https://h/v2/a/manifests/1: NAME_UNKNOWN: repository name not known", RejectedError, "image_not_found"),
        ("GET http://h/v2/a/manifests/latest: UNAUTHORIZED: authentication required", RejectedError, "image_auth"),
        ('Get "https://h:1/v2/": dial tcp h:1: connect: connection refused', UnavailableError, "image_transient"),
        ("TOOMANYREQUESTS: You have reached your pull rate limit", UnavailableError, "image_transient"),
        ("while creating squashfs: Write failed: No space left on device", UnavailableError, "disk_full"),
    ],
)
def test_what_apptainer_said_gives_the_class(said: str, kind: type[Exception], failure: str) -> None:
    error = refusal("docker://h/a:1", f"INFO:    Starting build...\nFATAL:   While performing build: {said}\n")

    assert isinstance(error, kind)
    assert error.failure == failure
    assert "docker://h/a:1" in str(error)

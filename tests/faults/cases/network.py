"""Writers that come over the network. The daemon sits on the machine that serves, as on a NAS; the
case of a daemon that sits elsewhere is polling, in `watching`."""

import time

from lab import servers

from . import case
from .writers import NAMES, run


def client(name, *needs, serve, over=True, big=False, quick=False):
    """A case of a way to put one file on a server; `serve` starts that and returns how to reach it."""

    def add(put):
        @case(name, *needs, quick=quick)
        def play(home):
            home.configure()
            server = serve(home)
            home.start()
            for again in [False, True] if over else [False]:
                if again:
                    home.wait_for_outputs()
                for file in NAMES:
                    put(home, server, home.source(file, big), file)
                    home.fault()
                home.mend()

        return put

    return add


def smbclient(port, command):
    run("smbclient", "-N", "-p", port, "//127.0.0.1/drop", "-c", command)


@client("Samba, put", "smbd", "smbclient", "true root", serve=servers.samba, big=True, quick=True)
def samba_put(home, port, source, name):
    smbclient(port, f"put {source} {name}")


@client("Samba, temporary name and rename", "smbd", "smbclient", "true root", serve=servers.samba)
def samba_rename(home, port, source, name):
    smbclient(port, f"put {source} {name}.tmp; rename {name}.tmp {name} -f")


@client(
    "Samba, like Explorer",
    "smbd",
    "true root",
    "module smbprotocol",
    serve=servers.samba,
    big=True,
)
def explorer(home, port, source, name):
    """Sets the end of the file first, so that its size is final before its contents come, and its
    time, in the past, last."""
    import uuid

    import smbprotocol.open as smb
    from smbprotocol.connection import Connection
    from smbprotocol.file_info import FileBasicInformation, FileEndOfFileInformation, InfoType
    from smbprotocol.session import Session
    from smbprotocol.tree import TreeConnect

    data = source.read_bytes()
    connection = Connection(uuid.uuid4(), "127.0.0.1", port)
    connection.connect()
    session = Session(connection, "root", "lab", require_encryption=False)
    session.connect()
    tree = TreeConnect(session, r"\\127.0.0.1\drop")
    tree.connect(require_secure_negotiate=False)
    file = smb.Open(tree, name)
    rights = smb.FilePipePrinterAccessMask
    file.create(
        smb.ImpersonationLevel.Impersonation,
        rights.GENERIC_READ | rights.GENERIC_WRITE,
        smb.FileAttributes.FILE_ATTRIBUTE_NORMAL,
        smb.ShareAccess.FILE_SHARE_READ,
        smb.CreateDisposition.FILE_OVERWRITE_IF,
        smb.CreateOptions.FILE_NON_DIRECTORY_FILE,
    )

    def set_info(information):
        request = smb.SMB2SetInfoRequest()
        request["info_type"] = InfoType.SMB2_0_INFO_FILE
        request["file_info_class"] = information.INFO_CLASS
        request["file_id"] = file.file_id
        request["buffer"] = information
        connection.receive(connection.send(request, session.session_id, tree.tree_connect_id))

    end = FileEndOfFileInformation()
    end["end_of_file"] = len(data)
    set_info(end)
    half = len(data) // 2
    for at, part in ((0, data[:half]), (half, data[half:])):
        time.sleep(0.7)
        for begin in range(0, len(part), 1 << 16):
            file.write(part[begin : begin + (1 << 16)], at + begin)
    times = FileBasicInformation()
    # Windows counts tenths of microseconds since 1601; this is 2020, an hour later each time.
    moment = (1_577_836_800 + 3600 * home.times + 11_644_473_600) * 10_000_000
    for field in ("creation_time", "last_access_time", "last_write_time", "change_time"):
        times[field] = moment
    times["file_attributes"] = smb.FileAttributes.FILE_ATTRIBUTE_ARCHIVE
    set_info(times)
    time.sleep(0.3)
    file.close(False)
    tree.disconnect()
    session.disconnect()
    connection.disconnect()


@client("scp", "scp", "/usr/sbin/sshd", "true root", serve=servers.ssh, big=True)
def scp(home, options, source, name):
    run("scp", *options, source, f"root@127.0.0.1:{home.input / name}")


@client("sftp put", "sftp", "/usr/sbin/sshd", "true root", serve=servers.ssh, big=True, quick=True)
def sftp(home, options, source, name):
    run("sftp", *options, "root@127.0.0.1", input=f"put {source} {home.input / name}\n".encode())


@client("sftp, broken off and resumed", "sftp", "/usr/sbin/sshd", "true root", serve=servers.ssh, big=True, over=False)
def reput(home, options, source, name):
    data = source.read_bytes()
    part = source.with_name("part")
    part.write_bytes(data[: len(data) // 3])
    run("sftp", *options, "root@127.0.0.1", input=f"put {part} {home.input / name}\n".encode())
    time.sleep(0.7)
    run("sftp", *options, "root@127.0.0.1", input=f"reput {source} {home.input / name}\n".encode())


@client("FTP, pyftpdlib", "curl", "module pyftpdlib", serve=servers.ftp, big=True)
def ftp(home, port, source, name):
    run("curl", "-sS", "--limit-rate", "3M", "-T", source, f"ftp://127.0.0.1:{port}/{name}")


@client("FTP, vsftpd", "curl", "vsftpd", "true root", serve=servers.vsftpd, over=False)
def vsftpd(home, port, source, name):
    run("curl", "-sS", "-T", source, f"ftp://127.0.0.1:{port}/{home.input.name}/{name}")


@client("WebDAV, rclone", "curl", "rclone", serve=servers.webdav, big=True)
def webdav(home, port, source, name):
    run("curl", "-sS", "-f", "--limit-rate", "3M", "-T", source, f"http://127.0.0.1:{port}/{name}")


@client(
    "curl -o",
    "curl",
    serve=lambda home: servers.http(home, home.path / "beside"),
    big=True,
    quick=True,
)
def curl(home, port, source, name):
    url = f"http://127.0.0.1:{port}/{source.name}"
    run("curl", "-sS", "-f", "--limit-rate", "2M", "-o", home.input / name, url)

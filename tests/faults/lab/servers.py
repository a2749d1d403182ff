"""Real file servers on loopback ports, with private configurations, that end with the case."""

import os
import socket
import subprocess
import sys
import time

from .home import Unverified


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answering(port, child):
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and child.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return port
        time.sleep(0.02)
    raise Unverified(f"{child.args[0]} does not serve")


def samba(home):
    """The drop folder as the share `drop`, open to everybody."""
    port, place = free_port(), home.path / "samba"
    for folder in ("private", "state", "cache", "lock", "pid", "rpc", "log"):
        (place / folder).mkdir(parents=True)
    (place / "smb.conf").write_text(f"""\
[global]
server role = standalone server
interfaces = lo
bind interfaces only = yes
smb ports = {port}
private dir = {place}/private
state directory = {place}/state
cache directory = {place}/cache
lock directory = {place}/lock
pid directory = {place}/pid
ncalrpc dir = {place}/rpc
log file = {place}/log/%m
passdb backend = tdbsam
map to guest = Bad User
guest account = root
server min protocol = SMB2
disable spoolss = yes
load printers = no
printing = bsd
[drop]
path = {home.input}
guest ok = yes
read only = no
force user = root
""")
    configuration = place / "smb.conf"
    # A user, for clients that do not take being a guest for an answer.
    subprocess.run(
        ["smbpasswd", "-c", configuration, "-s", "-a", "root"],
        input="lab\nlab\n",
        text=True,
        capture_output=True,
        check=False,
    )
    command = ["smbd", "-F", "--no-process-group", "-s", configuration, "-l", place / "log"]
    return answering(port, home.spawn(*command))


def ssh(home):
    """Returns the port and the options that any client of OpenSSH takes."""
    port, place = free_port(), home.path / "ssh"
    place.mkdir(mode=0o700)
    for key in ("host", "client"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / key]
        subprocess.run(command, check=True, capture_output=True)
    (place / "sshd.conf").write_text(f"""\
Port {port}
ListenAddress 127.0.0.1
HostKey {place}/host
PidFile none
AuthorizedKeysFile {place}/client.pub
StrictModes no
UsePAM no
PermitRootLogin yes
Subsystem sftp internal-sftp
""")
    os.makedirs("/run/sshd", exist_ok=True)
    answering(port, home.spawn("/usr/sbin/sshd", "-D", "-f", place / "sshd.conf"))
    known = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", f"IdentityFile={place}/client"]
    return ["-q", "-P", str(port), *(word for option in known for word in ("-o", option))]


def ftp(home):
    port = free_port()
    command = [sys.executable, "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", port, "-w", "-d", home.input]
    return answering(port, home.spawn(*command))


def vsftpd(home):
    port, empty = free_port(), home.path / "empty"
    empty.mkdir(mode=0o755)
    # The anonymous user must not be able to write where it begins, only in the folder inside.
    os.chmod(home.path, 0o755)
    os.chmod(home.input, 0o777)
    (home.path / "vsftpd.conf").write_text(f"""\
listen=YES
listen_address=127.0.0.1
listen_port={port}
anonymous_enable=YES
anon_upload_enable=YES
anon_other_write_enable=YES
anon_umask=022
write_enable=YES
anon_root={home.path}
no_anon_password=YES
secure_chroot_dir={empty}
background=NO
seccomp_sandbox=NO
""")
    return answering(port, home.spawn("vsftpd", home.path / "vsftpd.conf"))


def webdav(home):
    port = free_port()
    environment = os.environ | {"RCLONE_CONFIG": str(home.path / "rclone.conf")}
    command = ["rclone", "serve", "webdav", home.input, "--addr", f"127.0.0.1:{port}"]
    return answering(port, home.spawn(*command, env=environment))


def http(home, folder):
    port = free_port()
    command = [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "-d", folder]
    return answering(port, home.spawn(*command))

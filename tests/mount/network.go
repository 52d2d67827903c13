package mount

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sftpServer is where Debian has it.
const sftpServer = "/usr/lib/openssh/sftp-server"

// mountedWithin bounds how long sshfs may take, on a busy machine.
const mountedWithin = 30 * time.Second

// Remote is a directory that is served over the network and mounted again: sshfs, which
// speaks SFTP over TCP, without ssh, to a server of the test's own on the loopback. The
// server can be frozen and cut off. The methods are for the test's own goroutine.
type Remote struct {
	t           testing.TB
	served, dir string
	addr        string
	options     []string
	sshfs       *exec.Cmd
	exited      chan struct{} // closed when sshfs is gone

	accepting sync.WaitGroup
	mu        sync.Mutex // guards all below
	ln        net.Listener
	frozen    bool
	servers   []*exec.Cmd
}

// SFTP serves a directory and mounts it on another, with options of sshfs. Both are given back
// when the test ends: who has something open there must have ended before.
func SFTP(t testing.TB, served, dir string, options ...string) (r *Remote, ok bool) {
	t.Helper()
	if !permitted(t) {
		return nil, false
	}
	if _, err := exec.LookPath("sshfs"); err != nil {
		return nil, refused(t, "look for sshfs", err, nil)
	}
	for _, name := range []string{sftpServer, "/dev/fuse"} {
		if _, err := os.Stat(name); err != nil {
			return nil, refused(t, "look for "+name, err, nil)
		}
	}
	r = &Remote{t: t, served: served, dir: dir, addr: "127.0.0.1:0", options: options}
	r.Serve()
	t.Cleanup(r.end)
	r.Mount()
	return r, true
}

// Serve has the server answer new connections, after Cut for instance.
func (r *Remote) Serve() {
	r.t.Helper()
	ln, err := net.Listen("tcp", r.addr)
	if err != nil {
		r.t.Fatalf("serve %s: %v", r.served, err)
	}
	r.mu.Lock()
	r.ln, r.frozen = ln, false
	r.mu.Unlock()
	r.addr = ln.Addr().String()
	r.accepting.Go(func() { r.accept(ln) })
}

func (r *Remote) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		if err := r.begin(conn.(*net.TCPConn)); err != nil {
			r.t.Errorf("serve SFTP: %v", err)
		}
	}
}

// begin hands a connection to a process of its own.
func (r *Remote) begin(conn *net.TCPConn) error {
	defer conn.Close()
	file, err := conn.File()
	if err != nil {
		return err
	}
	defer file.Close()
	cmd := exec.Command(sftpServer)
	cmd.Stdin, cmd.Stdout = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	r.servers = append(r.servers, cmd)
	if r.frozen {
		return cmd.Process.Signal(syscall.SIGSTOP)
	}
	return nil
}

// Freeze makes the server say nothing any more, as a machine does that hangs: whoever asks
// waits.
func (r *Remote) Freeze() { r.signal(syscall.SIGSTOP, true) }

// Thaw ends what Freeze began, and answers what was asked meanwhile.
func (r *Remote) Thaw() { r.signal(syscall.SIGCONT, false) }

func (r *Remote) signal(s syscall.Signal, frozen bool) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frozen = frozen
	for _, cmd := range r.servers {
		if err := cmd.Process.Signal(s); err != nil {
			r.t.Errorf("send %v to the SFTP server: %v", s, err)
		}
	}
}

// Kill ends what answers for the file system on this side. It stays mounted, and cut off.
func (r *Remote) Kill() {
	_ = r.sshfs.Process.Kill()
	<-r.exited
}

// Cut ends the server and all connections to it. Without the option reconnect, sshfs unmounts
// then, and ends.
func (r *Remote) Cut() {
	r.mu.Lock()
	ln, servers := r.ln, r.servers
	r.ln, r.servers = nil, nil
	r.mu.Unlock()
	if ln != nil {
		ln.Close()
		r.accepting.Wait()
	}
	for _, cmd := range servers {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}
}

// Mount mounts it, again after Unmount for instance.
func (r *Remote) Mount() {
	r.t.Helper()
	_, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	options := append([]string{"directport=" + port}, r.options...)
	r.sshfs = exec.Command("sshfs", "-f", "-o", strings.Join(options, ","), "127.0.0.1:"+r.served, r.dir)
	// Asked to end, it unmounts.
	r.sshfs.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	var said strings.Builder
	r.sshfs.Stdout, r.sshfs.Stderr = &said, &said
	if err := r.sshfs.Start(); err != nil {
		r.t.Fatalf("start sshfs: %v", err)
	}
	exited := make(chan struct{})
	r.exited = exited
	go func(cmd *exec.Cmd) { // Unmount and the cleanup wait for it
		defer close(exited)
		_ = cmd.Wait() // it says why by what it writes
	}(r.sshfs)
	for deadline := time.Now().Add(mountedWithin); !r.mounted(); {
		select {
		case <-exited:
			r.t.Fatalf("sshfs ended: %s", said.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("sshfs did not mount %s within %v", r.dir, mountedWithin)
		}
	}
}

// mounted asks nothing of the file system itself.
func (r *Remote) mounted() bool {
	text, err := os.ReadFile("/proc/self/mountinfo")
	return err == nil && strings.Contains(string(text), fmt.Sprintf(" %s ", r.dir))
}

// Unmount takes the file system away, as an operator does who has found it cut off. What is
// in use does not keep it.
func (r *Remote) Unmount() {
	r.t.Helper()
	if out, err := exec.Command("umount", "-l", r.dir).CombinedOutput(); err != nil {
		r.t.Fatalf("unmount %s: %v: %s", r.dir, err, out)
	}
	<-r.exited
}

func (r *Remote) end() {
	r.Cut()
	if r.mounted() {
		_ = exec.Command("umount", "-l", r.dir).Run() // sshfs may have done it by now
	}
	if r.sshfs != nil && r.sshfs.Process != nil {
		_ = r.sshfs.Process.Kill()
		<-r.exited
	}
}

package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// entered is set in the environment of tests that run in a network of their own.
const entered = "TESTS_NETWORK_ENTERED"

// names is where ip keeps names of networks.
const names = "/run/netns"

// errNone is why there is no network of our own; nil when there is one.
var errNone = errors.New("network.Enter was not called by TestMain")

// Enter runs the test binary again in a network of its own, and ends with its exit code;
// there, it returns. Without root it returns at once.
func Enter() {
	if os.Getenv(entered) != "" {
		errNone = prepare()
		return
	}
	if os.Getuid() != 0 {
		errNone = errors.New("machines are network namespaces, and need root")
		return
	}
	os.Exit(again())
}

// again runs this binary in new namespaces: of networks, and of mounts, where ip keeps
// names of networks.
func again() int {
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), entered+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	signal.Ignore(os.Interrupt, syscall.SIGQUIT) // they are for the tests
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended) && ended.ExitCode() > 0:
		return ended.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "run the tests in a network of their own:", err)
		return 1
	}
}

// prepare has the loopback work as usual, and makes room for names.
func prepare() error {
	if err := os.MkdirAll(names, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", names, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", names, err)
	}
	return ip("link", "set", "lo", "up")
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %q: %w: %s", args, err, out)
	}
	return nil
}

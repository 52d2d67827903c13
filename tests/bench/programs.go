package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// readyWithin bounds how long a program may take until it answers.
const readyWithin = 30 * time.Second

// programs are processes that work in one directory and end with the measurement.
type programs struct {
	dir     string
	env     []string // beside our own
	running []*exec.Cmd
}

// build builds one of our commands, as users do, and returns its path.
func build(ctx context.Context, dir, name, pkg string, flags ...string) (string, error) {
	binary := filepath.Join(dir, "bin", name)
	build := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", binary}, flags...), pkg)...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	return binary, nil
}

// start runs a program until stop; what it says on stderr is shown.
func (p *programs) start(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stderr = p.dir, os.Stderr
	cmd.Env = append(append(os.Environ(), "HOME="+p.dir, "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir), p.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	p.running = append(p.running, cmd)
	return nil
}

// startCaddy runs Caddy with a Caddyfile.
func (p *programs) startCaddy(ctx context.Context, caddy, caddyfile string) error {
	path := filepath.Join(p.dir, "Caddyfile")
	if err := os.WriteFile(path, []byte(caddyfile), 0o644); err != nil {
		return err
	}
	return p.start(ctx, caddy, "run", "--config", path, "--adapter", "caddyfile")
}

// stop ends all programs and waits for them.
func (p *programs) stop() {
	for _, cmd := range p.running {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
	p.running = nil
}

// freeAddrs fills in addresses on loopback on which nobody listens.
func freeAddrs(addrs ...*string) error {
	for _, addr := range addrs {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer ln.Close() // only in the end, so that no address is given twice
		*addr = ln.Addr().String()
	}
	return nil
}

// await repeats try until it succeeds.
func await(ctx context.Context, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

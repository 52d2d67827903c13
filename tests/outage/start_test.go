package outage

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// refusedWithin bounds a start that fails: the process waits for the database for a
// minute.
const refusedWithin = 2 * time.Minute

// On a machine that boots, the database may be there later than the tracker.
func TestAProcessWaitsForItsDatabase(t *testing.T) {
	t.Parallel()
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newConfig(t, k)
			if err := s.database.Stop(); err != nil {
				t.Fatal(err)
			}
			dir, restarted := t.TempDir(), make(chan error, 1)
			go func() {
				restarted <- errors.Join(awaitText(t.Context(), filepath.Join(dir, "caddy.log"), "database can't be reached"), s.database.Restart())
			}()
			s.start(dir)
			if err := <-restarted; err != nil {
				t.Fatal(err)
			}
			s.learnKeys()
		})
	}
}

// awaitText waits until a file contains a text.
func awaitText(ctx context.Context, path, text string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if content, err := os.ReadFile(path); err == nil && strings.Contains(string(content), text) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestAProcessWithoutItsDatabaseSaysSo(t *testing.T) {
	t.Parallel()
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newConfig(t, k)
			if err := s.database.Stop(); err != nil {
				t.Fatal(err)
			}
			text, code := s.runToEnd(t)
			// The last line is what an operator sees.
			last := text[strings.LastIndexByte(strings.TrimSpace(text), '\n')+1:]
			for _, want := range []string{"tracker", s.database.Addr(), "connection refused"} {
				if !strings.Contains(last, want) {
					t.Errorf("got last words %q; want them to name %s", last, want)
				}
			}
			if code == 0 {
				t.Error("got exit code 0; want another")
			}
		})
	}
}

// runToEnd runs the process until it ends by itself, and returns what it said.
func (s *site) runToEnd(t *testing.T) (text string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), refusedWithin)
	defer cancel()
	dir := t.TempDir()
	path := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(path, []byte(strings.Replace(s.config(""), "{", "{\n\tadmin off", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, process.Binary(t), "run", "--config", path, "--adapter", "caddyfile")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	said, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &ended) {
		t.Fatalf("run caddy: %v, %v\n%s", err, ctx.Err(), said)
	}
	return string(said), cmd.ProcessState.ExitCode()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// profileTime is long enough for some hundred samples.
const profileTime = 5 * time.Second

var unfit = regexp.MustCompile(`[^a-z0-9_]+`)

// profile does a task once more on each installation, without counting, and keeps
// what the tracker's processor did meanwhile, when that is wanted.
func (r *race) profile(ctx context.Context, t task, fields []*installation) error {
	if r.options.profiles == "" {
		return nil
	}
	if err := os.MkdirAll(r.options.profiles, 0o755); err != nil {
		return err
	}
	for _, i := range fields {
		name := profileName(t.name, t.connections, i.engine.name)
		var both errgroup.Group
		both.Go(func() error { return saveProfile(ctx, i.adminAPI, filepath.Join(r.options.profiles, name+".pprof")) })
		both.Go(func() error { return new(times).add(ctx, t, i, profileTime+time.Second) })
		if err := both.Wait(); err != nil {
			return fmt.Errorf("profile %s: %w", i.engine.name, err)
		}
	}
	return nil
}

// profile has ours do the work once more, without counting, and keeps what its
// processor did meanwhile, when that is wanted.
func (c contest) profile(ctx context.Context, dir, admin string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var both errgroup.Group
	both.Go(func() error {
		return saveProfile(ctx, admin, filepath.Join(dir, profileName(c.work, c.connections)+".pprof"))
	})
	both.Go(func() error {
		_, err := c.rivals[0].measure(ctx, profileTime+time.Second)
		return err
	})
	return both.Wait()
}

func profileName(words ...any) string {
	return unfit.ReplaceAllString(strings.ToLower(strings.TrimSpace(fmt.Sprintln(words...))), "-")
}

// profile does a chore until the profiles of tracker and nodes are complete, without
// counting, when those are wanted.
func (j *jobs) profile(ctx context.Context, o options, c chore) error {
	if o.profiles == "" {
		return nil
	}
	if err := os.MkdirAll(o.profiles, 0o755); err != nil {
		return err
	}
	var both errgroup.Group
	for i, who := range []string{"tracker", "nodes"} {
		name := profileName(c.name, who) + ".pprof"
		both.Go(func() error { return saveProfile(ctx, j.admins[i], filepath.Join(o.profiles, name)) })
	}
	var err error
	for began := time.Now(); err == nil && time.Since(began) < profileTime; {
		_, err = c.do(j, ctx)
	}
	return errors.Join(err, both.Wait())
}

// saveProfile asks Caddy's admin API for the next seconds.
func saveProfile(ctx context.Context, admin, path string) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", admin, profileTime.Seconds())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", url, resp.Status)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}

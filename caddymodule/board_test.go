package caddymodule

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/edge/health"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func TestHealthOfNodesIsKeptOverAReload(t *testing.T) {
	at := mogile.Copy{Dev: 1, URL: "http://10.0.0.1:7500/dev1/0/000/000/0000000001.fid"}
	core, logs := observer.New(zap.InfoLevel)
	var old, handler, reloaded refs
	first, err := boardOf(&old, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	first.Place(at).Node.Failed(errors.New("down"))
	other, err := boardOf(&handler, zap.NewNop()) // of the same config
	if err != nil {
		t.Fatal(err)
	}
	now, err := boardOf(&reloaded, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(old.release(), handler.release()); err != nil {
		t.Fatal(err)
	}
	if now.Place(at).Level() != health.Bad || other.Place(at).Level() != health.Bad {
		t.Error("got a node forgotten that failed; want all handlers to know it, also after a reload")
	}
	now.Place(at).Node.Well()
	if logs.Len() != 1 {
		t.Errorf("got %d lines in the log of the new config; want the one about the node", logs.Len())
	}
	if err := reloaded.release(); err != nil {
		t.Fatal(err)
	}
	if n := pooled()["health of nodes"]; n != 0 {
		t.Errorf("got %d references left; want none", n)
	}
}

func TestACopyThatWasCutShortIsMendedWhenItIsRead(t *testing.T) {
	r := newRig(t)
	r.run(changed("methods GET PUT DELETE", "methods GET PUT DELETE\n location_cache off"))
	const content = "what is in the file"
	r.want(http.StatusCreated, http.MethodPut, "/images/k", content)
	eventually(t, "two recorded copies", func() bool {
		return strings.Contains(r.say("get_paths domain=images&key=k&noverify=1"), "paths=2")
	})
	cut := r.copies(t)[0]
	if err := os.Truncate(cut, 5); err != nil {
		t.Fatal(err)
	}
	eventually(t, "whole copies again", func() bool {
		r.wantBody("/images/k", content)
		whole := 0
		for _, name := range r.copies(t) {
			if text, err := os.ReadFile(name); err == nil && string(text) == content {
				whole++
			}
		}
		return whole == 2
	})
}

// copies is the files of fids on the devices.
func (r *rig) copies(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(r.dir, "storage", "dev*", "0", "*", "*", "*.fid"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

package metrics

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// lines are the lines of a file of the process that are JSON, as far as they are written whole.
func lines[T any](s *site, name string) (all []T) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.hub.Dir, name))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		var one T
		if strings.HasSuffix(l, "\n") && json.Unmarshal([]byte(l), &one) == nil {
			all = append(all, one)
		}
	}
	return all
}

// access is a line of the access log.
type access struct {
	Request  struct{ Method, URI string }
	Status   int
	MogileFS *struct {
		Key    string
		FID    uint64
		Copy   uint32
		Cache  string
		Source string
	} `json:"mogilefs"`
}

func TestTheAccessLogTellsOfFiles(t *testing.T) {
	s := newSite(t)
	etag := s.want(http.StatusCreated, http.MethodPut, "/images/a", "content", "X-Class", "one").header.Get("Etag")
	copy := s.want(http.StatusOK, http.MethodGet, "/images/a", "").header.Get("X-Copy")
	s.want(http.StatusOK, http.MethodGet, "/images/a", "")
	s.want(http.StatusNotFound, http.MethodGet, "/images/b", "")
	s.scrape()
	var got []string
	want := []string{
		"PUT /images/a 201: a " + etag + " " + copy + "  ",
		"GET /images/a 200: a " + etag + " " + copy + " miss " + source(copy),
		"GET /images/a 200: a " + etag + " " + copy + " location " + source(copy),
		"GET /images/b 404: b \"0\" 0 miss ",
		"GET /metrics 200",
	}
	process.Eventually(t, within, fmt.Sprintf("access log of %q", want), func() bool {
		got = nil
		for _, l := range lines[access](s, "access.log") {
			text := fmt.Sprintf("%s %s %d", l.Request.Method, l.Request.URI, l.Status)
			if m := l.MogileFS; m != nil {
				text += fmt.Sprintf(": %s \"%d\" %d %s %s", m.Key, m.FID, m.Copy, m.Cache, m.Source)
			}
			got = append(got, text)
		}
		return len(got) >= len(want)
	})
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got line %q; want %q", got[i], want[i])
		}
	}
}

func source(dev string) string { return map[string]string{"1": "local", "2": "remote"}[dev] }

// span is one that the process has exported.
type span struct {
	Name                string
	SpanContext, Parent struct{ TraceID, SpanID string }
	Status              struct{ Code, Description string }
}

func TestTracesShowWhatARequestWaitedFor(t *testing.T) {
	s := newSite(t)
	fids := s.upload()
	s.want(http.StatusOK, http.MethodGet, "/images/two1", "")
	s.removeLocal(fids["two0"])
	if a := s.want(http.StatusOK, http.MethodGet, "/images/two0", ""); a.header.Get("X-Copy") != "2" {
		t.Fatalf("got it from device %q; want 2", a.header.Get("X-Copy"))
	}
	for _, trace := range [][]string{
		{"site", "mogilefs.tracker open", "mogilefs.database write", "mogilefs.upload", "mogilefs.tracker close"},
		{"site", "mogilefs.tracker locate", "mogilefs.database read", "mogilefs.fetch"},
		{"site", "mogilefs.tracker locate", "mogilefs.fetch", "mogilefs.failover"},
	} {
		process.Eventually(t, within, fmt.Sprintf("trace with %q", trace), func() bool {
			return len(lacking(lines[span](s, "caddy.log"), trace)) == 0
		})
	}
}

// lacking is what of the names none of the traces has that has most of them, counting spans that are
// below the request's only.
func lacking(spans []span, names []string) []string {
	byTrace := map[string]map[string]span{}
	for _, s := range spans {
		if s.SpanContext.SpanID == "" { // a line of the log
			continue
		}
		if byTrace[s.SpanContext.TraceID] == nil {
			byTrace[s.SpanContext.TraceID] = map[string]span{}
		}
		byTrace[s.SpanContext.TraceID][s.SpanContext.SpanID] = s
	}
	best := names
	for _, trace := range byTrace {
		found := map[string]bool{}
		for _, s := range trace {
			for above, ok := s, true; ok; above, ok = trace[above.Parent.SpanID] {
				if above.Name == names[0] {
					found[s.Name] = true
				}
			}
		}
		var lacks []string
		for _, name := range names {
			if !found[name] {
				lacks = append(lacks, name)
			}
		}
		if len(lacks) < len(best) {
			best = lacks
		}
	}
	return best
}

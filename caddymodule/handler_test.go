package caddymodule

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/tracker"
)

const sites = `
	handle /by/* {
		mogilefs {
			domain  {header.X-Domain}
			key     {header.X-Key}
			class   {header.X-Class} {header.X-Other} small
			methods GET PUT
		}
	}
	handle_path /pass/* {
		route {
			mogilefs images {
				pass_thru
			}
			respond "next one" 203
		}
	}
	handle_errors {
		respond "sorry {err.status_code}" {err.status_code}
	}
`

func TestTheHandlerSpeaksHTTPAsConfigured(t *testing.T) {
	r := newRig(t)
	r.run(changed("http://PUBLIC {", "http://PUBLIC {"+sites, "domain images", "domain images {\n class small 1\n class other 1\n }"))

	r.want(http.StatusCreated, http.MethodPut, "/by/it", "named", "X-Domain", "images", "X-Key", "deep/name", "X-Other", "other")
	r.wantBody("/images/deep/name", "named")
	if got := r.say("file_info domain=images&key=deep/name"); !strings.Contains(got, "class=other") {
		t.Errorf("got %q; want the first class that is not empty", got)
	}
	if got := r.want(http.StatusNotFound, http.MethodGet, "/by/it", "", "X-Key", "deep/name"); got.body != "sorry 404" {
		t.Errorf("GET without a domain: got %q; want the error page", got.body)
	}
	r.want(http.StatusBadRequest, http.MethodPut, "/by/it", "x", "X-Domain", "images")
	r.want(http.StatusBadRequest, http.MethodPut, "/by/it", "x", "X-Domain", "images", "X-Key", "k", "X-Class", "nosuch")

	got := r.want(http.StatusMethodNotAllowed, http.MethodDelete, "/by/it", "")
	allow := strings.Split(got.header.Get("Allow"), ", ")
	slices.Sort(allow)
	if want := []string{"GET", "HEAD", "PUT"}; !slices.Equal(allow, want) || got.body != "sorry 405" {
		t.Errorf("DELETE: got Allow %q and %q; want %q and the error page", allow, got.body, want)
	}

	r.want(http.StatusNonAuthoritativeInfo, http.MethodGet, "/pass/unknown", "")
	r.wantBody("/pass/deep/name", "named")
	r.want(http.StatusNotFound, http.MethodGet, "/images/unknown", "")
}

func TestAMethodThatIsNotAllowedIsRefusedBeforeTheBody(t *testing.T) {
	r := newRig(t)
	r.run(changed("methods GET PUT DELETE", "methods GET"))
	conn, err := net.Dial("tcp", r.public)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PUT /images/k HTTP/1.1\r\nHost: %s\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", r.public)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("got %v; want an answer although no body was sent", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusMethodNotAllowed || !answer.Close {
		t.Errorf("got %s, close %v; want 405 and the end of the connection", answer.Status, answer.Close)
	}
}

// Caddy starts apps in no order, so requests may come before the tracker is there.
func TestARequestWithoutATrackerIsAskedToComeAgain(t *testing.T) {
	never := newShared[*tracker.Tracker](nil)
	e, err := edge.New(edge.Config{
		Tracker: localTracker{shared: never}, Timeouts: edge.Timeouts{Tracker: 10 * time.Millisecond}, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	h := &Handler{Methods: []string{"GET", "DELETE"}, edge: e, asked: never, log: zap.NewNop()}
	h.fillDefaults()
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		w := httptest.NewRecorder()
		err := h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/key", nil), nil)
		var failed caddyhttp.HandlerError
		if !errors.As(err, &failed) || failed.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: got %v; want status 503", method, err)
		}
		if method == http.MethodGet && w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: got no Retry-After in %v; want one", method, w.Header())
		}
	}
}

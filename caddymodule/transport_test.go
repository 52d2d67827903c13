package caddymodule

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// transportOf provisions a handler's transport from its block's lines.
func transportOf(t *testing.T, lines string, waits Timeouts) (*NodeTransport, error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	var h Handler
	if err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser("mogilefs {\n transport {\n" + lines + "\n }\n}")); err != nil {
		t.Fatal(err)
	}
	_, err := h.Transport.provision(ctx, &waits)
	t.Cleanup(func() {
		if err := h.Transport.cleanup(); err != nil {
			t.Error(err)
		}
	})
	return h.Transport, err
}

func TestNodesAreAskedOverTLSWhenThatIsConfigured(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.ServerName)
	}))
	defer srv.Close()
	_, port, _ := strings.Cut(srv.Listener.Addr().String(), ":")
	for lines, want := range map[string]string{
		"tls_insecure_skip_verify\n tls_server_name node.test":                            "node.test",
		"tls_insecure_skip_verify\n tls_server_name {env.NO_SUCH_NODE}":                   "",
		"tls_insecure_skip_verify\n tls_server_name node.test\n tls_except_ports " + port: "400",
	} {
		tr, err := transportOf(t, lines, Timeouts{})
		if err != nil {
			t.Fatalf("%q: %v", lines, err)
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+srv.Listener.Addr().String()+"/dev1/", nil)
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatalf("%q: %v", lines, err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want == "400" {
			if resp.StatusCode != http.StatusBadRequest { // what a TLS server says to HTTP
				t.Errorf("%q: got %d; want the excepted port to be asked without TLS", lines, resp.StatusCode)
			}
			continue
		}
		if err != nil || string(text) != want {
			t.Errorf("%q: got %q, %v; want a handshake for %q", lines, text, err, want)
		}
		if req.URL.Scheme != "http" {
			t.Errorf("%q: got the request's own URL changed to %s", lines, req.URL)
		}
	}
}

func TestTransportKeepsTheEdgesDefaults(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://proxy.test:3128")
	tr, err := transportOf(t, "read_buffer 8KiB", Timeouts{Connect: caddy.Duration(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	made := tr.HTTPTransport.Transport
	if made.IdleConnTimeout != nodeIdle || made.MaxIdleConnsPerHost != nodeConnections || !made.DisableCompression ||
		made.MaxResponseHeaderBytes != nodeHeader || made.ReadBufferSize != 8<<10 || time.Duration(tr.DialTimeout) != time.Second {
		t.Errorf("got %+v; want what is not configured to be the edge's own", made)
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://node.test:7500/", nil)
	if proxy, err := made.Proxy(req); proxy != nil || err != nil {
		t.Errorf("got proxy %v, %v; want none of the environment", proxy, err)
	}
}

func TestTransportRefusesWhatMeansNothing(t *testing.T) {
	for lines, want := range map[string]string{
		"proxy_protocol v2":  "proxy_protocol",
		"dial_timeout 1s":    "timeouts connect",
		"versions 1.1 2 4.0": "4.0",
	} {
		_, err := transportOf(t, lines, Timeouts{Connect: caddy.Duration(time.Second)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want it refused for %s", lines, err, want)
		}
	}
}

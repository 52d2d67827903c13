package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/console"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// within bounds what takes its time: a start, a look at devices, replication.
const within = 2 * time.Minute

// site is a cluster with a dashboard.
type site struct {
	*process.Cluster
	t *testing.T
	// page is the dashboard's URL, with a slash at its end.
	page string
	port int
	http *http.Client
}

// dashboardSite is added to a cluster's Caddyfile.
const dashboardSite = `
http://:PORT {
	bind 127.0.0.1 127.0.0.3
	MORE
	mogilefs_dashboard OPTIONS
}
`

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, Cluster: process.NewCluster(t, process.ClusterOptions{}), port: process.FreePorts(t, 1)[0]}
	s.page = fmt.Sprintf("http://127.0.0.1:%d/", s.port)
	s.http = &http.Client{Transport: &http.Transport{}, Timeout: within}
	t.Cleanup(s.http.CloseIdleConnections)
	s.Reload(s.caddyfile("", ""))
	return s
}

// caddyfile is the cluster's with the dashboard's site, with more before it and options.
func (s *site) caddyfile(more, options string) string {
	return s.Caddyfile("") + strings.NewReplacer("PORT", strconv.Itoa(s.port), "MORE", more, "OPTIONS", options).Replace(dashboardSite)
}

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends a request. Names and values of headers alternate; Host is one.
func (s *site) ask(method, url, body string, headers ...string) reply {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.http.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", method, url, err, s.Tail())
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, url, err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

// admin asks the admin API and wants a status. to, unless it is nil, is filled with the answer.
func (s *site) admin(status int, method, path, body string, to any) reply {
	s.t.Helper()
	got := s.ask(method, "http://"+s.Admin+"/mogilefs/"+path, body)
	if got.status != status || got.header.Get("Content-Type") != "application/json" {
		s.t.Fatalf("%s %s %s: got %d %s %s; want %d and JSON", method, path, body, got.status, got.header.Get("Content-Type"), got.body, status)
	}
	if to != nil {
		if err := json.Unmarshal([]byte(got.body), to); err != nil {
			s.t.Fatalf("%s %s: got %s: %v", method, path, got.body, err)
		}
	}
	return got
}

// store stores a file and waits for its second copy.
func (s *site) store(key string, content []byte) {
	s.t.Helper()
	if got := s.Put(key, content); got.Status != http.StatusCreated {
		s.t.Fatalf("PUT %q: got %d; want 201", key, got.Status)
	}
	fid := s.FID(key)
	process.Eventually(s.t, within, "second copy of "+key, func() bool {
		f, err := s.lookUp(fid)
		return err == nil && len(f.Copies) == 2 && len(f.Rows) == 0
	})
}

// lookUp is the file of a fid.
func (s *site) lookUp(fid mogile.FID) (console.File, error) {
	s.t.Helper()
	var f console.File
	got := s.ask("GET", "http://"+s.Admin+"/mogilefs/file?fid="+fid.String(), "")
	err := json.Unmarshal([]byte(got.body), &f)
	return f, err
}

// picture is an image.
func picture(t *testing.T) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 320, 200))
	for x := range 320 {
		for y := range 200 {
			img.Set(x, y, color.RGBA{uint8(x * 255 / 320), 110, uint8(y * 255 / 200), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// nodeFile is a second storage node, on an address of its own, so that it has the port of
// the side channel that the first has.
const nodeFile = `{
	mogilefs {
		storage node2 {
			root data/storage
			devices 3
			address 127.0.0.2:PORT
			management 127.0.0.2:STREAM
			register TRACKER
		}
	}
}
http://:PORT {
	bind 127.0.0.2
	mogilefs_storage
}
`

// addNode starts a second node and waits until its device is writeable.
func (s *site) addNode() *process.Caddy {
	s.t.Helper()
	port := strconv.Itoa(process.FreePorts(s.t, 1)[0])
	stream := s.ManagementAddr[strings.LastIndexByte(s.ManagementAddr, ':')+1:]
	node := process.Start(s.t, process.Options{
		Caddyfile: strings.NewReplacer("PORT", port, "STREAM", stream, "TRACKER", s.TrackerAddr).Replace(nodeFile),
		Ready:     []string{"127.0.0.2:" + port},
	})
	process.Eventually(s.t, within, "third writeable device", func() bool {
		return strings.Count(s.ask("GET", "http://"+s.Admin+"/mogilefs/topology", "").body, `"observed_state":"writeable"`) == 3
	})
	return node
}

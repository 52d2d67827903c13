package console

import (
	"bufio"
	"context"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
)

const (
	// maxImage is the largest file that is shown, in bytes.
	maxImage = 32 << 20
	// sniffed is how much of a file tells its type.
	sniffed = 512
)

// imageTypes are those that a browser shows and that can run nothing: SVG is not among them.
var imageTypes = []string{"image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp"}

// Image is an image to be shown. Body must be closed.
type Image struct {
	Type   string
	Length int64
	Body   io.ReadCloser
}

// Preview opens a file if it is an image, by its bytes and not its name.
func (c *Console) Preview(ctx context.Context, name FileName) (Image, error) {
	f, err := c.file(ctx, name)
	if err != nil {
		return Image{}, err
	}
	if f.Length > maxImage {
		return Image{}, refuse(http.StatusUnsupportedMediaType, "the file has %d bytes; files of up to %d are shown", f.Length, maxImage)
	}
	why := refuse(http.StatusNotFound, "no copy of it can be read now")
	for _, at := range readableFirst(f.Copies) {
		image, err := c.open(ctx, at.URL)
		if err == nil {
			return image, nil
		}
		if why = err; why.Status == http.StatusUnsupportedMediaType {
			break // the others have the same bytes
		}
	}
	return Image{}, why
}

// readableFirst leaves out copies without URL, and puts those that are seen to be readable
// first.
func readableFirst(copies []Copy) []Copy {
	copies = slices.DeleteFunc(slices.Clone(copies), func(c Copy) bool { return c.URL == "" })
	slices.SortStableFunc(copies, func(a, b Copy) int { return rank(a) - rank(b) })
	return copies
}

func rank(c Copy) int {
	if c.Observed == writeable || c.Observed == readable {
		return 0
	}
	return 1
}

// open opens a copy; what is no image is refused.
func (c *Console) open(ctx context.Context, url string) (Image, *Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Image{}, refuse(http.StatusBadGateway, "read %s: %w", url, err)
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return Image{}, refuse(http.StatusBadGateway, "read a copy: %w", err)
	}
	if resp.StatusCode != http.StatusOK || resp.ContentLength > maxImage {
		resp.Body.Close()
		return Image{}, refuse(http.StatusBadGateway, "read a copy: its node answers %s", resp.Status)
	}
	body := bufio.NewReaderSize(io.LimitReader(resp.Body, maxImage), sniffed)
	begin, err := body.Peek(sniffed)
	if err != nil && err != io.EOF {
		resp.Body.Close()
		return Image{}, refuse(http.StatusBadGateway, "read a copy: %w", err)
	}
	kind, _, err := mime.ParseMediaType(http.DetectContentType(begin))
	if err != nil || !slices.Contains(imageTypes, kind) {
		resp.Body.Close()
		return Image{}, refuse(http.StatusUnsupportedMediaType, "the file is none of %s", strings.Join(imageTypes, ", "))
	}
	return Image{Type: kind, Length: resp.ContentLength, Body: struct {
		io.Reader
		io.Closer
	}{body, resp.Body}}, nil
}

package cloud

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// httpClient is the HTTP client of the configuration, certificates of the environment
// included, with a bound on each attempt and whole request bodies.
func httpClient(sdk *aws.Config, timeout time.Duration) aws.HTTPClient {
	made, ok := sdk.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		return sdk.HTTPClient // somebody else's: as it is
	}
	return &http.Client{
		Transport:     wholeBodies{made.GetTransport()},
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// wholeBodies sends each request body in one piece. The body that the SDK (smithy-go
// 1.28.9) hands over fails once the SDK has closed it. When an answer begins before the
// transport has seen the body's end, Go takes that failure for one of the connection and
// cuts the answer off: a read is retried for nothing, and the result of a change is unknown.
type wholeBodies struct{ next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (w wholeBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return w.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := r.Body.Close(); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return w.next.RoundTrip(r)
}

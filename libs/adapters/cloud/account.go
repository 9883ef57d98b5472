package cloud

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	frame "github.com/neap-project/neap/libs/adapters/service" // of a process; a service here is one of ECS
	"github.com/neap-project/neap/libs/fleet"
)

// Config says how to reach AWS. The zero value takes everything from the environment, as
// the AWS CLI does.
type Config struct {
	Region   string  `ignored:"true"` // empty: AWS_REGION, or the profile's
	Endpoint string  `ignored:"true"` // empty: AWS_ENDPOINT_URL, or AWS itself
	Share    float64 `envconfig:"AWS_API_SHARE" default:"0.25" desc:"part of each published API rate limit that this process may use, above 0 and at most 1"`

	// Unsigned calls carry made-up credentials, for a simulated AWS, which asks for none.
	Unsigned bool `ignored:"true"`

	Tracers trace.TracerProvider `ignored:"true"` // nil: the global one
	Meters  metric.MeterProvider `ignored:"true"` // nil: the global one
}

// Validate refuses settings that no account could be used with.
func (c Config) Validate() error {
	if !(c.Share > 0 && c.Share <= 1) {
		return frame.Invalid("AWS_API_SHARE", c.Share, "use a number above 0 and at most 1, such as 0.25")
	}
	return nil
}

// DefaultShare is the part of each published token bucket that Neap uses at most: ECS's own
// scheduler and everybody else in the account draw on the same ones.
const DefaultShare = 0.25

// How long things may take.
const (
	// requestTimeout bounds one attempt of a call; CreateFleet for many instances and a page
	// of 1,000 instances take some seconds.
	requestTimeout = 20 * time.Second
	// callTimeout bounds a call with its attempts and its waiting for the rate limit.
	callTimeout = 2 * time.Minute
	// credentialTimeout is enough for an instance role, a container role and a web identity
	// to be tried one after the other.
	credentialTimeout = 15 * time.Second
	// readAttempts and longestRetry: what has failed three times within ten seconds is left
	// to the next beat.
	readAttempts = 3
	longestRetry = 5 * time.Second
)

// Account is one AWS account and region. It is safe for concurrent use. Its faces
// ([Account.Reader], [Account.Launcher], [Account.Drainer]) share its rate limits and clock.
type Account struct {
	region      string
	clock       *clock
	instruments *instruments
	definitions *definitionStore

	// The clients that read repeat a failed call, those that change something never do.
	readECS, changeECS *ecs.Client
	readEC2, changeEC2 *ec2.Client
	ssm                *ssm.Client
	sqs                *sqs.Client
	pricing            *pricing.Client
	sts                *sts.Client
}

// Open finds region and credentials and makes the clients. It fails with fleet.ErrInvalid
// or fleet.ErrDenied, naming the variable to set, when there are none; it does not call AWS
// otherwise.
func Open(ctx context.Context, cfg Config) (*Account, error) {
	if cfg.Share < 0 {
		return nil, fmt.Errorf("%w: share of the AWS rate limits %v: use a number above 0, such as %v", fleet.ErrInvalid, cfg.Share, DefaultShare)
	}
	if cfg.Share == 0 {
		cfg.Share = DefaultShare
	}
	a := &Account{clock: &clock{}, definitions: &definitionStore{}}
	sdk, err := loadConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	a.region = sdk.Region
	limits := newLimits(cfg.Share, a.clock.pace)
	a.instruments = newInstruments(cfg.Tracers, cfg.Meters, limits)
	sdk.APIOptions = append(sdk.APIOptions, func(stack *middleware.Stack) error {
		if err := stack.Initialize.Add(a.instruments.middleware(), middleware.Before); err != nil {
			return err
		}
		if err := stack.Finalize.Insert(limits.middleware(a.instruments), "Retry", middleware.After); err != nil {
			return err
		}
		return stack.Deserialize.Add(a.clock.middleware(), middleware.After)
	})
	a.openClients(sdk)
	return a, nil
}

func loadConfig(ctx context.Context, cfg Config) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient()),
		config.WithLogger(logging.Nop{}), // what matters comes back as an error
		config.WithAppID("neap"),
	}
	if cfg.Region != "" {
		options = append(options, config.WithRegion(cfg.Region))
	}
	if cfg.Endpoint != "" {
		options = append(options, config.WithBaseEndpoint(cfg.Endpoint))
	}
	if cfg.Unsigned {
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("simulated", "simulated", "")))
	}
	ctx, cancel := context.WithTimeout(ctx, credentialTimeout)
	defer cancel()
	sdk, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return sdk, fmt.Errorf("%w: load the AWS configuration: %w", fleet.ErrInvalid, err)
	}
	if sdk.Region == "" {
		return sdk, fmt.Errorf("%w: no AWS region: %w", fleet.ErrInvalid,
			frame.Invalid("AWS_REGION", "", "set it, such as us-east-1, or AWS_PROFILE to a profile of ~/.aws/config that names a region"))
	}
	if _, err := sdk.Credentials.Retrieve(ctx); err != nil {
		return sdk, fmt.Errorf("%w: no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the process an IAM role (task role, instance profile, web identity): %w", fleet.ErrDenied, err)
	}
	sdk.Credentials = deniedCredentials{sdk.Credentials}
	return sdk, nil
}

// deniedCredentials marks credentials that can no longer be renewed, so that they are told
// from a call whose result is unknown.
type deniedCredentials struct{ aws.CredentialsProvider }

// Retrieve returns the credentials or an error that is fleet.ErrDenied.
func (c deniedCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: renew the AWS credentials: %w", fleet.ErrDenied, err)
	}
	return found, err
}

func (a *Account) openClients(sdk aws.Config) {
	polling := httpClient(&sdk, pollFor+requestTimeout)
	sdk.HTTPClient = httpClient(&sdk, requestTimeout)
	reading := sdk.Copy()
	reading.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = readAttempts, longestRetry
			o.RateLimiter = ratelimit.None // our own buckets are stricter
		})
	}
	changing := sdk.Copy()
	changing.Retryer = func() aws.Retryer { return aws.NopRetryer{} }

	a.readECS, a.changeECS = ecs.NewFromConfig(reading), ecs.NewFromConfig(changing)
	a.readEC2, a.changeEC2 = ec2.NewFromConfig(reading), ec2.NewFromConfig(changing)
	a.ssm = ssm.NewFromConfig(reading)
	a.sts = sts.NewFromConfig(reading)
	a.sqs = sqs.NewFromConfig(changing, func(o *sqs.Options) {
		// A long poll is answered when there is something to say, or after pollFor.
		o.HTTPClient = polling
	})
	a.pricing = pricing.NewFromConfig(reading, func(o *pricing.Options) { o.Region = pricingRegion(sdk.Region) })
}

// pricingRegion is where the price list is served for a region.
func pricingRegion(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "cn-northwest-1"
	case strings.HasPrefix(region, "eu-"), strings.HasPrefix(region, "me-"), strings.HasPrefix(region, "af-"), strings.HasPrefix(region, "il-"):
		return "eu-central-1"
	case strings.HasPrefix(region, "ap-"):
		return "ap-south-1"
	}
	return "us-east-1"
}

// Now is the time of AWS: that of its last answer and what has passed since. It does not
// run backwards. Before the first answer it is the local time.
func (a *Account) Now() time.Time { return a.clock.now() }

// Region is the region that calls go to.
func (a *Account) Region() string { return a.region }

// call makes one call of the SDK within [callTimeout] and translates its error.
func call[In, Out, Option any](ctx context.Context, f func(context.Context, *In, ...func(*Option)) (*Out, error), in *In) (*Out, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := f(ctx, in)
	if err != nil {
		return nil, translate(err)
	}
	return out, nil
}

package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	pricingtypes "github.com/aws/aws-sdk-go-v2/service/pricing/types"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// typesPage is the most types that DescribeInstanceTypes describes at once.
const typesPage = 100

// Catalogue reads what EC2 sells in the region: types, zones, on-demand and spot prices.
// All but spot prices stay the same for hours: callers that read often keep the parts
// ([Reader.Types], [Reader.Offers], [Reader.OnDemandPrices] for 12 hours,
// [Reader.SpotPrices] for 5 minutes).
func (r *Reader) Catalogue(ctx context.Context) (snapshot.Catalogue, error) {
	s := r.begin()
	out := snapshot.Catalogue{}
	var err error
	out.Types, err = r.Types(ctx)
	s.note(err)
	out.Offers, err = r.Offers(ctx)
	s.note(err)
	out.Prices, err = r.OnDemandPrices(ctx)
	s.note(err)
	out.Spot, err = r.SpotPrices(ctx)
	s.note(err)
	out.Read, err = s.end()
	return out, err
}

// Types reads the instance types of the region, with their ENI limits.
func (r *Reader) Types(ctx context.Context) ([]snapshot.InstanceType, error) {
	return describeTypes(ctx, r, instanceType)
}

// describeTypes reads all instance types of the region, each as of turns it.
func describeTypes[T any](ctx context.Context, r *Reader, of func(*ec2types.InstanceTypeInfo) T) ([]T, error) {
	in := &ec2.DescribeInstanceTypesInput{MaxResults: aws.Int32(typesPage)}
	var found []T
	for {
		out, err := call(ctx, r.ec2.DescribeInstanceTypes, in)
		if err != nil {
			return found, fmt.Errorf("describe instance types: %w", err)
		}
		found = append(found, convert(out.InstanceTypes, of)...)
		if in.NextToken = out.NextToken; text(in.NextToken) == "" {
			return found, nil
		}
	}
}

// Offers reads which zone of the region sells which type.
func (r *Reader) Offers(ctx context.Context) ([]snapshot.Offer, error) {
	in := &ec2.DescribeInstanceTypeOfferingsInput{LocationType: ec2types.LocationTypeAvailabilityZone, MaxResults: aws.Int32(ec2Page)}
	var found []snapshot.Offer
	for {
		out, err := call(ctx, r.ec2.DescribeInstanceTypeOfferings, in)
		if err != nil {
			return found, fmt.Errorf("describe instance type offerings: %w", err)
		}
		found = append(found, convert(out.InstanceTypeOfferings, offer)...)
		if in.NextToken = out.NextToken; text(in.NextToken) == "" {
			return found, nil
		}
	}
}

// SpotPrices reads the spot price of Linux that holds now for each type and zone.
func (r *Reader) SpotPrices(ctx context.Context) ([]snapshot.SpotPrice, error) {
	return r.spotPrices(ctx, "Linux/UNIX")
}

// WindowsSpotPrices reads the same for Windows.
func (r *Reader) WindowsSpotPrices(ctx context.Context) ([]snapshot.SpotPrice, error) {
	return r.spotPrices(ctx, windowsProduct)
}

// windowsProduct is how EC2 names Windows in prices.
const windowsProduct = "Windows"

func (r *Reader) spotPrices(ctx context.Context, description string) ([]snapshot.SpotPrice, error) {
	in := &ec2.DescribeSpotPriceHistoryInput{
		// A history that starts now has one price each: the one that holds.
		StartTime:           aws.Time(r.account.Now()),
		ProductDescriptions: []string{description, description + " (Amazon VPC)"},
		MaxResults:          aws.Int32(ec2Page),
	}
	var found []snapshot.SpotPrice
	for {
		out, err := call(ctx, r.ec2.DescribeSpotPriceHistory, in)
		if err != nil {
			return found, fmt.Errorf("describe spot price history: %w", err)
		}
		found = append(found, convert(out.SpotPriceHistory, spotPrice)...)
		if in.NextToken = out.NextToken; text(in.NextToken) == "" {
			return found, nil
		}
	}
}

// products are the queries of the price list that together give the on-demand price of every
// type with an operating system: bare metal is a product family of its own.
var products = []struct{ family, tenancy string }{
	{"Compute Instance", "Shared"},
	{"Compute Instance (bare metal)", "Dedicated"},
}

// OnDemandPrices reads the on-demand prices of Linux in the region from the price list.
func (r *Reader) OnDemandPrices(ctx context.Context) ([]snapshot.Price, error) {
	return r.onDemandPrices(ctx, "Linux")
}

// WindowsPrices reads those of Windows, which include its licence.
func (r *Reader) WindowsPrices(ctx context.Context) ([]snapshot.Price, error) {
	return r.onDemandPrices(ctx, windowsProduct)
}

// Windows adds what instances cost with Windows to a catalogue, which few need.
func (r *Reader) Windows(ctx context.Context, c *snapshot.Catalogue) error {
	prices, err := r.WindowsPrices(ctx)
	spot, spotErr := r.WindowsSpotPrices(ctx)
	c.Prices, c.Spot = append(c.Prices, prices...), append(c.Spot, spot...)
	return errors.Join(err, spotErr)
}

func (r *Reader) onDemandPrices(ctx context.Context, system string) ([]snapshot.Price, error) {
	var found []snapshot.Price
	for _, p := range products {
		in := &pricing.GetProductsInput{ServiceCode: aws.String("AmazonEC2"), MaxResults: aws.Int32(ecsPage), Filters: priceFilters(map[string]string{
			"regionCode": r.account.region, "productFamily": p.family, "tenancy": p.tenancy, "operatingSystem": system,
			"preInstalledSw": "NA", "capacitystatus": "Used", "marketoption": "OnDemand",
		})}
		for {
			out, err := call(ctx, r.pricing.GetProducts, in)
			if err != nil {
				return found, fmt.Errorf("read the price list: %w", err)
			}
			for _, item := range out.PriceList {
				if price, ok := product([]byte(item)); ok {
					found = append(found, price)
				}
			}
			if in.NextToken = out.NextToken; text(in.NextToken) == "" {
				break
			}
		}
	}
	return found, nil
}

func priceFilters(fields map[string]string) []pricingtypes.Filter {
	var filters []pricingtypes.Filter
	for field, value := range fields {
		filters = append(filters, pricingtypes.Filter{
			Type: pricingtypes.FilterTypeTermMatch, Field: aws.String(field), Value: aws.String(value),
		})
	}
	return filters
}

// product reads one item of the price list, a JSON document of its own. It is not ok for
// one without an hourly price in dollars.
func product(item []byte) (price snapshot.Price, ok bool) {
	var p struct {
		Product struct {
			Attributes struct {
				InstanceType string `json:"instanceType"`
				System       string `json:"operatingSystem"`
				License      string `json:"licenseModel"`
			} `json:"attributes"`
		} `json:"product"`
		Terms struct {
			OnDemand map[string]struct {
				PriceDimensions map[string]struct {
					Unit         string            `json:"unit"`
					PricePerUnit map[string]string `json:"pricePerUnit"`
				} `json:"priceDimensions"`
			} `json:"OnDemand"`
		} `json:"terms"`
	}
	about := &p.Product.Attributes
	// Windows under a licence that the customer owns costs what Linux costs.
	if json.Unmarshal(item, &p) != nil || about.InstanceType == "" || about.License == "Bring your own license" {
		return price, false
	}
	var highest fleet.Price
	for _, term := range p.Terms.OnDemand {
		for _, dimension := range term.PriceDimensions {
			if dimension.Unit == "Hrs" || dimension.Unit == "" {
				highest = max(highest, dollars(dimension.PricePerUnit["USD"]))
			}
		}
	}
	if about.System == windowsProduct {
		return snapshot.Price{Type: about.InstanceType, Windows: highest}, highest > 0
	}
	return snapshot.Price{Type: about.InstanceType, OnDemand: highest}, highest > 0
}

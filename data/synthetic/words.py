"""Word lists: names, companies, places, goods, sentences. Each is split by `splits`."""

from functools import lru_cache

from .splits import on_side

_FIRST = """
Aaron Ada Adam Agnes Ahmed Aisha Alan Alba Alice Amara Amir Ana Anders André Anna Anton Arjun
Astrid Beatriz Ben Bianca Björn Boris Bruno Camille Carl Carmen Cecilia Chen Chloe Clara Claude
Conor Daniel Dara David Diego Dina Dora Edith Edgar Elena Elias Ella Emil Emma Enzo Erik Esther
Eva Fatima Felix Fiona Flora Frank Freya Gabriel George Gina Greta Grace Hana Hannah Harald Hassan
Hector Helen Hugo Ida Igor Ines Ingrid Irene Isaac Ivan Ivy Jack Jade James Jan Jasmin Joana João
Jonas José Julia Julius Jürgen Kai Karin Kate Kenji Klaus Lars Laura Lea Leila Leo Lena Liam Lina
Linh Louis Lucia Luis Lukas Maeve Magnus Maja Malik Marco Maria Marta Martin Maya Mei Mia Mikael
Mila Milan Mira Mona Nadia Naomi Nico Nils Nina Noah Nora Olga Olaf Oliver Omar Oscar Otto Paula
Pavel Pedro Petra Philip Priya Quentin Rafael Ravi Rebecca René Rita Robin Rosa Ruben Ruth Sam
Sara Selma Sergei Silvia Simon Sofia Sonja Stefan Sven Tara Thomas Tim Tina Tomas Ulla Uma Vera
Viktor Vivian Walter Wei Wendy Willem Xavier Yara Yasmin Yuki Yusuf Zara Zoe
"""

_LAST = """
Adams Almeida Andersen Bailey Bauer Becker Bell Bennett Berg Bianchi Blake Bonnet Brandt Brown
Burke Byrne Carter Castro Chan Clarke Cohen Cole Costa Cruz Dahl Davies Dean Diaz Dietrich Dixon
Doyle Dubois Duarte Duncan Dvorak Eaton Edwards Ekman Ellis Evans Faber Fischer Fisher Fletcher
Fonseca Ford Foster Fox Franco Frost Fuchs Garcia Gibson Gomez Gordon Graf Grant Gray Green Gupta
Haas Hahn Hall Hansen Harris Hayes Henry Hill Hoffmann Holm Howard Huang Hughes Hunt Ivanov
Jackson Jensen Johnson Jones Kaiser Kaur Keller Kelly Khan King Klein Koch Kowalski Kumar Lambert
Lang Larsen Lee Lehmann Lewis Lind Lopez Lund Maier Marino Martin Mason Mehta Mendes Meyer Miller
Moore Morales Moreau Morgan Müller Murphy Myers Nakamura Nguyen Nielsen Novak Nowak O'Brien Okafor
Oliveira Olsen Ortiz Osman Owens Palmer Park Parker Patel Pereira Perez Peters Petit Pohl Popov
Porter Powell Quinn Ramos Reed Reyes Ricci Richter Rossi Roth Rowe Roux Ruiz Russo Ryan Sanchez
Santos Sato Schmidt Schulz Shaw Silva Singh Sousa Stein Stone Suzuki Tanaka Taylor Thomas Torres
Turner Vargas Vogel Wagner Walker Walsh Wang Ward Weber Weiss West White Wilson Winter Wolf Wood
Wright Yamada Young Zhang Ziegler Zimmer
"""

_STREETS = """
Abbey Acorn Alder Apple Ash Aspen Bakers Bank Bay Beech Birch Bishop Bridge Broad Brook Canal
Castle Cedar Chapel Cherry Church Clover College Copper Cross Dale Derby East Elm Ferry Field
Forest Garden Gate Glen Granary Grove Harbour Hawthorn Hazel Heath High Hill Holly Ivy Juniper
Kings Lake Larch Laurel Lime Linden Long Maple Market Meadow Mill Moor New North Oak Olive Orchard
Park Pine Poplar Priory Quarry Queens Quay Ridge River Rose Rowan School Silver South Spring
Station Stone Temple Thorn Union Valley Victoria Vine Walnut Water West Willow Windmill Wood
"""

_CITIES = """
Aarhus Aberdeen Austin Basel Bath Belfast Bergen Berlin Bilbao Bologna Bonn Bordeaux Boston Bremen
Bristol Bruges Cadiz Calgary Cardiff Chester Cologne Cork Dallas Delft Denver Derby Dover Dresden
Dublin Dundee Durham Essen Exeter Faro Galway Geneva Genoa Ghent Girona Graz Haarlem Halifax
Hamburg Hull Innsbruck Kiel Krakow Leeds Leiden Leipzig Lille Lincoln Linz Lisbon Lucerne Lund
Lyon Madrid Mainz Malmö Milan Modena Munich Nantes Naples Nice Norwich Oporto Oslo Oxford Padua
Paris Parma Perth Pisa Porto Prague Preston Reading Reims Rennes Riga Rome Rouen Salem Salzburg
Seattle Seville Siena Stirling Tampere Toledo Toronto Tours Trento Turin Turku Utrecht Verona
Vienna Vilnius Warsaw York Zürich
"""

_COMPANIES = """
Acorn Alpine Amber Anchor Apex Arbor Arrow Atlas Aurora Axiom Beacon Birch Blue Bolt Boulder
Bright Cardinal Cascade Cedar Circle Cobalt Comet Compass Copper Coral Corner Crest Crown Crystal
Delta Eagle Echo Element Ember Falcon Fern Fjord Forge Fox Garnet Globe Golden Granite Green
Harbor Harvest Hawk Helix Heron Horizon Iris Iron Ivory Jade Juniper Kestrel Keystone Lantern
Laurel Lion Lotus Lunar Maple Marble Meridian Metro Mint Moon Nimbus Noble North Nova Oak Ocean
Olive Onyx Opal Orbit Orchid Otter Pacific Panda Pearl Pine Pioneer Polar Prime Quantum Quartz
Raven Red River Robin Ruby Sable Saffron Sage Sierra Silver Solar Sparrow Spruce Star Sterling
Summit Swift Terra Tiger Topaz Tulip Union Vale Vector Velvet Violet Vista Willow Zenith Zephyr
"""

_TRADES = """
Bakery Books Builders Catering Cleaning Coffee Consulting Design Electric Electronics Energy
Engineering Farms Flowers Foods Freight Furniture Garage Gardens Glass Hardware Health Hotel
Imports Kitchen Labs Lighting Logistics Market Media Motors Music Optics Paints Paper Pharmacy
Plumbing Press Print Repairs Roofing Services Shop Software Sports Stationery Steel Stores Studio
Supplies Systems Tailors Textiles Tools Toys Trading Travel Works
"""

_ITEMS = """
apple|apricot jam|backpack|bagel|baguette|ballpoint pen|banana|basil|battery|beans|bicycle lamp
binder|black tea|blanket|blender|blue paint|board game|bolt M8|bookmark|bottle|bowl|bracket|broom
brown rice|brush|bucket|bulb|butter|button|cable 2 m|calendar|camera|candle|cap|card reader
carrots|cereal|chain|chair|chalk|charger|cheese|cherries|chips|chisel|chocolate|cinnamon|clamp
clock|coat hook|cocoa|coffee|cola|comb|cookies|copper wire|cork|corn|cotton shirt|crackers|cream
croissant|cucumber|cup|curtain|cushion|desk|desk lamp|dish soap|door mat|doughnut|drawer|drill bit
dry dates|duct tape|eggs|envelope|eraser|espresso|extension lead|fan|figs|file box|filter|fish
flashlight|flour|folder|fork|frame|fuse|garlic|ginger|glass jar|gloves|glue|goggles|grapes
green tea|hair dryer|ham|hammer|hand soap|hanger|hat|headphones|hinge|honey|hose|ice cream
index cards|ink|iron|jacket|jam|juice|kettle|key ring|keyboard|kiwi|knife|ladder|lamp shade
laptop stand|leek|lemon|lens cloth|lettuce|level|light switch|lime|lock|lunch box|magnet|mango|map
marker|mask|matches|melon|metal ruler|milk|mirror|mixer|monitor|mop|mouse|muffin|mug|mushrooms
nails|napkins|needle|noodles|notebook|nuts|oat milk|olive oil|onion|orange|paint roller|pan
paper A4|paper clips|parsley|pasta|peach|peanuts|pear|peas|pencil|pepper|picture hook|pillow|pipe
plant pot|plate|pliers|plug|plum|postcard|potatoes|printer|pump|puzzle|radio|raisins|rake|razor
red wine|ribbon|rice|rope|rubber band|rug|rye bread|salad|salmon|salt|sandpaper|sandwich|saw|scale
scarf|scissors|screw|sealant|seeds|shampoo|sheet|shelf|shirt|shoes|shovel|sketch pad|slippers|soap
socks|soda|spade|spinach|sponge|spoon|spring onion|stamp|stapler|sticky notes|stool|straw|string
sugar|sun cream|sunglasses|syrup|table|tape|tea towel|thermos|thread|tiles|timer|toaster|tofu
tomatoes|toner|toothbrush|torch|towel|toy car|tray|trousers|tuna|umbrella|USB stick|valve|vase
vinegar|wallet|washer|watch|water|web camera|wheel|whistle|white paint|window cleaner|wire
wood glue|wool|wrench|yoghurt|zipper
"""

_NOUNS = """
account address agenda amount answer area balance bill board book box budget building car case
change chapter city claim class client committee company contract copy cost country course
customer date day deadline delivery department design desk detail door draft entry error estimate
event evening example exchange fee field file floor form friend garden goods group guest guide
hall hour house idea index invoice issue item journey key kitchen label land letter level library
line list lunch machine manager market matter meeting member message method model month morning
name network note notice number offer office order owner package page paper part party path
pattern payment people period permit phone picture piece place plan point policy price print
problem process project purpose quality question rate reason receipt record refund region report
request result review road room route rule sale sample schedule school screen season section
service sheet shop sign site size source space staff stage statement station step stock street
student supplier support survey system table task team term test ticket title town trade train
transfer travel unit update value version view visit voice wall warehouse water week window word
work workshop world year
"""

_VERBS = """
accept add agree approve arrange arrive ask attach begin book bring build buy call cancel carry
change check choose close collect complete confirm contact copy cover create decide deliver
describe discuss double draw enclose enter expect explain extend file fill find finish follow
forward give handle hold include inform install invite join keep leave let list mail make mark
measure meet mention move need note offer open order pack pay place plan post prepare present
print process provide publish raise read receive record reduce refund register remove renew repair
repeat replace reply report request return review save schedule see select sell send serve settle
ship show sign sort start store submit supply support take test thank transfer translate update
use visit wait want write
"""

_OTHERS = """
a about after again all also an and any are as at available back be because been before below best
better both but by can clear complete daily due each early either enclosed every few final first
five for four free from full further general good great had has have he her here his how i if in
into is it its just kind large last late later less local long main many may might more most much
must my near new next nine no nor not now of off often old on once one only open or other our out
over own paid past per please quick ready recent regular same second seven several she short six
small so some soon still such sure ten than that the their them then there these they third this
those three through to today together tomorrow too total two under until up urgent usual very via
was we well were what when where which while who why will with within without would yes yesterday
yet you your zero
"""

# Name of a list -> its words, and what stands between them.
_LISTS: dict[str, tuple[str, str | None]] = {
    "first_names": (_FIRST, None),
    "last_names": (_LAST, None),
    "streets": (_STREETS, None),
    "cities": (_CITIES, None),
    "companies": (_COMPANIES, None),
    "trades": (_TRADES, None),
    "items": (_ITEMS.replace("\n", "|"), "|"),
    "nouns": (_NOUNS, None),
    "verbs": (_VERBS, None),
    "others": (_OTHERS, None),
}
# Closed sets that both sides share: they are grammar rather than content.
STREET_KINDS = (
    "Street", "Road", "Lane", "Avenue", "Way", "Close", "Drive", "Square", "Court", "Place",
)  # fmt: skip
COMPANY_ENDINGS = ("", "", "", " Ltd", " GmbH", " Inc.", " & Co", " LLC", " AG", " S.A.")


@lru_cache(maxsize=64)
def words(name: str, split: str) -> tuple[str, ...]:
    """The words of a list ("first_names", "items", ...) that belong to `split`."""
    text, separator = _LISTS[name]
    found = dict.fromkeys(word for word in text.split(separator) if word)
    return tuple(word for word in found if on_side(word, split))

"""The fields of a passport as people fill them in: label, help, kind and choices, in Kazakh, Russian and English.

Data only. A page draws each field by its kind and needs to know nothing else; names are the dotted ones by which
`registry.passport` reports problems and `member.passport` reads a form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qaztech.registry.forms import Names

Kind = Literal["names", "long-names", "line", "choice", "choices", "yes-no", "date", "list"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the values a field may have."""

    value: str
    label: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. `names` and `long-names` are three inputs (`.kk`, `.ru`, `.en`); a `list` has rows of `fields`."""

    name: str
    kind: Kind
    label: Names
    help: Names
    required: bool = False
    choices: tuple[Choice, ...] = ()
    fields: tuple[Field, ...] = ()


def _n(kk: str, ru: str, en: str) -> Names:
    return Names(kk=kk, ru=ru, en=en)


SECTIONS: tuple[tuple[Names, tuple[str, ...]], ...] = (
    (
        _n("Не және не үшін", "Что это и зачем", "What it is and what for"),
        ("names", "purpose", "serves", "legal_basis"),
    ),
    (_n("Кім жауап береді", "Кто отвечает", "Who answers for it"), ("owner", "contact")),
    (_n("Деректер", "Данные", "Data"), ("data", "personal", "categories", "source")),
    (
        _n("Жұмыс тәртібі", "Порядок работы", "How it runs"),
        ("environment", "availability", "version", "deprecated", "successor"),
    ),
)
"""The headings of a page, each with the beginnings of the names of the fields under it."""

CATEGORY_CHOICES = (
    Choice(
        value="identity",
        label=_n(
            "Жеке басты сәйкестендіру (аты-жөні, ЖСН, туған күні)",
            "Идентификация личности (ФИО, ИИН, дата рождения)",
            "Identity (name, IIN, date of birth)",
        ),
    ),
    Choice(
        value="contact",
        label=_n(
            "Байланыс деректері (мекенжай, телефон, пошта)",
            "Контактные данные (адрес, телефон, почта)",
            "Contact details (address, telephone, mail)",
        ),
    ),
    Choice(
        value="family",
        label=_n("Отбасы жағдайы және туыстық", "Семейное положение и родство", "Family status and kinship"),
    ),
    Choice(value="education", label=_n("Білімі", "Образование", "Education")),
    Choice(value="employment", label=_n("Еңбек қызметі", "Трудовая деятельность", "Employment")),
    Choice(
        value="finance",
        label=_n("Табыс, салық және қаржы", "Доходы, налоги и финансы", "Income, taxes and finances"),
    ),
    Choice(value="property", label=_n("Мүлік", "Имущество", "Property")),
    Choice(value="health", label=_n("Денсаулық", "Здоровье", "Health")),
    Choice(value="biometric", label=_n("Биометриялық деректер", "Биометрические данные", "Biometric data")),
    Choice(
        value="location",
        label=_n("Орналасқан жері және жүріп-тұруы", "Местонахождение и перемещения", "Whereabouts and movements"),
    ),
    Choice(
        value="offences",
        label=_n("Құқық бұзушылықтар және соттылық", "Правонарушения и судимость", "Offences and convictions"),
    ),
    Choice(value="other", label=_n("Өзге дербес деректер", "Иные персональные данные", "Other personal data")),
)

FIELDS: tuple[Field, ...] = (
    Field(
        name="names",
        kind="names",
        required=True,
        label=_n("Сервистің атауы", "Название сервиса", "Name of the service"),
        help=_n(
            "Каталогта осы атау көрінеді. Қысқартусыз, адамға түсінікті етіп жазыңыз.",
            "Под этим названием сервис виден в каталоге. Без сокращений, понятно человеку.",
            "The name in the catalogue. No abbreviations; plain to people.",
        ),
    ),
    Field(
        name="purpose",
        kind="long-names",
        label=_n("Мақсаты", "Назначение", "Purpose"),
        help=_n(
            "Сервис не береді және кімге қажет екенін екі-үш сөйлеммен жазыңыз.",
            "Что сервис даёт и кому он нужен, в двух-трёх предложениях.",
            "What the service gives, and to whom, in two or three sentences.",
        ),
    ),
    Field(
        name="serves.kind",
        kind="choice",
        label=_n("Неге қызмет етеді", "Чему служит", "What it serves"),
        help=_n(
            "Мемлекеттік көрсетілетін қызмет немесе мемлекеттік функция.",
            "Государственная услуга или государственная функция.",
            "A public service or a function of the state.",
        ),
        choices=(
            Choice(
                value="public-service",
                label=_n("Мемлекеттік көрсетілетін қызмет", "Государственная услуга", "Public service"),
            ),
            Choice(
                value="state-function",
                label=_n("Мемлекеттік функция", "Государственная функция", "State function"),
            ),
        ),
    ),
    Field(
        name="serves.code",
        kind="line",
        label=_n("Қызметтің немесе функцияның коды", "Код услуги или функции", "Code of the service or function"),
        help=_n(
            "Мемлекеттік көрсетілетін қызметтер тізіліміндегі код; болмаса, бос қалдырыңыз.",
            "Код по реестру государственных услуг; если его нет, оставьте пустым.",
            "Its code in the register of public services; leave it empty if there is none.",
        ),
    ),
    Field(
        name="serves.names",
        kind="names",
        label=_n("Қызметтің немесе функцияның атауы", "Название услуги или функции", "Name of the service or function"),
        help=_n("Тізілімдегідей жазыңыз.", "Так, как в реестре.", "As the register has it."),
    ),
    Field(
        name="legal_basis",
        kind="list",
        label=_n("Құқықтық негізі", "Правовое основание", "Legal basis"),
        help=_n(
            "Сервистің жұмыс істеуіне негіз болатын актілер.",
            "Акты, на основании которых работает сервис.",
            "The acts by which the service is provided.",
        ),
        fields=(
            Field(
                name="act",
                kind="line",
                label=_n("Актінің тіркеу нөмірі", "Регистрационный номер акта", "Registration number of the act"),
                help=_n(
                    "Құқықтық актілердің эталондық бақылау банкіндегі нөмірі, мысалы K2600000255.",
                    "Номер в эталонном контрольном банке правовых актов, например K2600000255.",
                    "As the reference bank of legal acts has it, for instance K2600000255.",
                ),
            ),
            Field(
                name="title",
                kind="names",
                required=True,
                label=_n("Актінің атауы", "Название акта", "Title of the act"),
                help=_n("Толық атауы.", "Полное название.", "The full title."),
            ),
            Field(
                name="provision",
                kind="line",
                label=_n("Бабы, тармағы", "Статья, пункт", "Article, paragraph"),
                help=_n("Мысалы: 12-бап, 3-тармақ.", "Например: ст. 12, п. 3.", "For instance: art. 12, par. 3."),
            ),
        ),
    ),
    Field(
        name="owner.unit",
        kind="names",
        label=_n("Жауапты бөлімше", "Ответственное подразделение", "Unit that answers for it"),
        help=_n(
            "Адамның аты емес, бөлімшенің атауы.",
            "Название подразделения, а не имя человека.",
            "The name of a unit, not of a person.",
        ),
    ),
    Field(
        name="owner.role",
        kind="names",
        label=_n("Жауапты рөл", "Ответственная роль", "Role that answers for it"),
        help=_n(
            "Лауазым немесе рөл, мысалы «тізілім иесі». Адамның атын жазбаңыз.",
            "Должность или роль, например «владелец реестра». Имя человека не пишите.",
            "A post or role, such as “owner of the register”. Do not name a person.",
        ),
    ),
    Field(
        name="contact",
        kind="line",
        label=_n("Байланыс мекенжайы", "Адрес для связи", "Contact address"),
        help=_n(
            "Бөлімшенің ортақ поштасы немесе https мекенжайы; жеке пошта емес.",
            "Общая почта подразделения или адрес https, а не личная почта.",
            "The shared mailbox of a unit or an https address, not a person’s mailbox.",
        ),
    ),
    Field(
        name="data",
        kind="list",
        label=_n("Деректер құрамы", "Состав данных", "Data elements"),
        help=_n(
            "Сервис беретін немесе қабылдайтын деректер.",
            "Данные, которые сервис отдаёт или принимает.",
            "What the service gives or takes.",
        ),
        fields=(
            Field(
                name="field",
                kind="line",
                required=True,
                label=_n("Хабарламадағы өріс", "Поле в сообщении", "Field in the message"),
                help=_n("OpenAPI сипаттамасындағыдай.", "Как в описании OpenAPI.", "As in the OpenAPI description."),
            ),
            Field(
                name="names",
                kind="names",
                required=True,
                label=_n("Мағынасы", "Что означает", "What it means"),
                help=_n("Адамға түсінікті атауы.", "Название, понятное человеку.", "A name that is plain to people."),
            ),
            Field(
                name="personal",
                kind="yes-no",
                label=_n("Дербес дерек", "Персональные данные", "Personal data"),
                help=_n(
                    "Осы өріс нақты адамға қатысты ма?",
                    "Относится ли поле к определённому человеку?",
                    "Does this field concern an identifiable person?",
                ),
            ),
        ),
    ),
    Field(
        name="personal",
        kind="choice",
        label=_n("Дербес деректер", "Персональные данные", "Personal data"),
        help=_n(
            "Бар болса, кемінде бір санатты белгілеңіз.",
            "Если есть, отметьте хотя бы одну категорию.",
            "If there are, choose at least one category.",
        ),
        choices=(
            Choice(value="", label=_n("көрсетілмеген", "не указано", "not stated")),
            Choice(value="yes", label=_n("бар", "есть", "there are")),
            Choice(value="no", label=_n("жоқ", "нет", "there are none")),
        ),
    ),
    Field(
        name="categories",
        kind="choices",
        label=_n("Дербес деректер санаттары", "Категории персональных данных", "Categories of personal data"),
        help=_n("Барлық қатыстысын белгілеңіз.", "Отметьте все, что есть.", "Choose all that apply."),
        choices=CATEGORY_CHOICES,
    ),
    Field(
        name="source.names",
        kind="names",
        label=_n("Деректердің бастапқы тізілімі", "Реестр — источник данных", "Register the data come from"),
        help=_n(
            "Деректер осы тізілімде дұрыс деп есептеледі.",
            "Верными считаются данные этого реестра.",
            "The register by which the data count as true.",
        ),
    ),
    Field(
        name="source.holder",
        kind="line",
        label=_n("Тізілімді жүргізуші", "Держатель реестра", "Holder of the register"),
        help=_n(
            "Қатысушының идентификаторы, мысалы KZ/GOV/991340000017; қатысушы болмаса, бос қалдырыңыз.",
            "Идентификатор участника, например KZ/GOV/991340000017; если он не участник, оставьте пустым.",
            "A member’s identifier such as KZ/GOV/991340000017; leave it empty if it is not a member.",
        ),
    ),
    Field(
        name="source.original",
        kind="yes-no",
        label=_n("Деректер түпнұсқадан беріледі", "Данные отдаются из первоисточника", "Given at the source"),
        help=_n(
            "Сервис көшірмеден берсе, белгілемеңіз.",
            "Не отмечайте, если сервис отдаёт копию.",
            "Do not choose this where the service gives a copy.",
        ),
    ),
    Field(
        name="environment",
        kind="choice",
        required=True,
        label=_n("Орта", "Среда", "Environment"),
        help=_n(
            "Сынақ ортасында нақты адамдардың деректері болмайды.",
            "В тестовой среде нет данных настоящих людей.",
            "A test environment holds no data of real people.",
        ),
        choices=(
            Choice(value="production", label=_n("Жұмыс ортасы", "Рабочая", "Production")),
            Choice(value="test", label=_n("Сынақ ортасы", "Тестовая", "Test")),
        ),
    ),
    Field(
        name="availability.percent",
        kind="line",
        label=_n("Уәде етілген қолжетімділік, %", "Обещанная доступность, %", "Promised availability, %"),
        help=_n("Мысалы: 99.50.", "Например: 99.50.", "For instance: 99.50."),
    ),
    Field(
        name="availability.hours",
        kind="line",
        label=_n("Жұмыс уақыты", "Часы работы", "Hours"),
        help=_n(
            "24x7 немесе күндер мен сағаттар: 1-5 09:00-18:00 (UTC+5).",
            "24x7 или дни и часы: 1-5 09:00-18:00 (UTC+5).",
            "24x7, or days and hours: 1-5 09:00-18:00 (UTC+5).",
        ),
    ),
    Field(
        name="version",
        kind="line",
        required=True,
        label=_n("Нұсқасы", "Версия", "Version"),
        help=_n("Мысалы: 2.1.", "Например: 2.1.", "For instance: 2.1."),
    ),
    Field(
        name="deprecated",
        kind="date",
        label=_n("Жұмысы тоқтатылатын күн", "Дата прекращения работы", "Date on which it ends"),
        help=_n(
            "Тоқтату жоспарланбаса, бос қалдырыңыз.",
            "Если прекращать не планируется, оставьте пустым.",
            "Leave it empty where no end is planned.",
        ),
    ),
    Field(
        name="successor",
        kind="line",
        label=_n("Орнына келетін сервис", "Сервис, который его заменит", "Service that takes its place"),
        help=_n(
            "Сервистің идентификаторы; тоқтатылатын күн көрсетілгенде ғана.",
            "Идентификатор сервиса; только если указана дата прекращения.",
            "A service’s identifier; only where a date is given on which this one ends.",
        ),
    ),
)


def field_named(name: str) -> Field | None:
    """The field that a problem or a gap names (`purpose.kk`, `legal_basis.0.title.ru`, `owner`); None if unknown."""
    parts = [part for part in name.split(".") if not part.isdecimal()]
    for size in range(len(parts), 0, -1):
        wanted = ".".join(parts[:size])
        for field in FIELDS:
            if field.name == wanted or field.name.startswith(f"{wanted}."):
                return field
    return None

"""Short household commands in six languages: patterns with slots, written for this project.

A slot `{n}` is a number in words from 2 to 59 that does not end in 1, so that no gender agreement is needed;
`{other}` is another `{thing}`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xlsrt.data.synth.number_words import number_words


@dataclass(frozen=True)
class Grammar:
    """Patterns and the phrases of their slots; any combination is a sentence of the language."""

    patterns: tuple[str, ...]
    slots: dict[str, tuple[str, ...]]


def _grammar(patterns: str, **slots: str) -> Grammar:
    def split(text: str) -> tuple[str, ...]:
        return tuple(" ".join(part.split()) for part in text.split("|"))

    return Grammar(split(patterns), {name: split(text) for name, text in slots.items()})


GRAMMARS: dict[str, Grammar] = {
    "en": _grammar(
        "turn on {obj} {place} | turn off {obj} {place} | open {way} {place} | close {way} {place} | "
        "play {music} {when} | "
        "set the timer to {n} minutes | wake me up in {n} hours | call {name} {when} | "
        "add {thing} and {other} to the list | "
        "buy {n} bottles of {drink} | what is the weather in {city} {when} | set {obj} to {n} degrees",
        obj="the light | the lamp | the heater | the radio | the fan | the television | the oven",
        way="the door | the window | the gate | the curtain | the garage",
        place="in the kitchen | in the bedroom | in the garden | in the hall | upstairs | now | please",
        music="some music | the news | a song | my favourite record",
        when="now | today | tomorrow | tonight | on monday | on friday | next week",
        name="john | mary | the doctor | my mother | my brother | the office",
        thing="bread | butter | cheese | apples | sugar | coffee",
        drink="water | milk | juice | wine | beer",
        city="london | paris | rome | madrid | tallinn | barcelona",
    ),
    "et": _grammar(
        "pane {obj} {place} põlema | lülita {obj} {place} välja | ava {way} {place} | "
        "sulge {way} {place} | mängi {music} {when} | "
        "pane taimer {n} minutit | oota {n} tundi | helista {name} {when} | "
        "lisa nimekirja {thing} ja {other} | "
        "osta {n} pudelit {drink} | milline ilm on {city} {when} | sea temperatuur {n} kraadi",
        obj="tuli | lamp | raadio | pliit | ventilaator | telekas | ahi",
        way="uks | aken | värav | kardin | garaaž",
        place="köögis | magamistoas | aias | koridoris | üleval | nüüd | palun",
        music="muusikat | uudiseid | laulu | minu lemmikplaati",
        when="kohe | täna | homme | õhtul | esmaspäeval | reedel | järgmisel nädalal",
        name="jaanile | mariale | arstile | emale | vennale | kontorisse",
        thing="leib | või | juust | õunad | suhkur | kohv",
        drink="vett | piima | mahla | veini | õlut",
        city="londonis | pariisis | roomas | madridis | tallinnas | barcelonas",
    ),
    "ca": _grammar(
        "encén {obj} {place} | apaga {obj} {place} | obre {way} {place} | tanca {way} {place} | "
        "posa {music} {when} | "
        "posa un temporitzador de {n} minuts | desperta em en {n} minuts | truca {name} {when} | "
        "afegeix {thing} i {other} a la llista | "
        "compra {n} gots de {drink} | quin temps farà a {city} {when} | posa {obj} a {n} graus",
        obj="la llum | el llum petit | la calefacció | la ràdio | el ventilador | el televisor | el forn",
        way="la porta | la finestra | la reixa | la cortina | el garatge",
        place="de la cuina | del dormitori | del jardí | del passadís | de dalt | ara | si us plau",
        music="música | les notícies | una cançó | el meu disc preferit",
        when="ara | avui | demà | aquesta nit | dilluns | divendres | la setmana vinent",
        name="al joan | a la maria | al metge | a la mare | al meu germà | a la feina",
        thing="pa | mantega | formatge | pomes | sucre | cafè",
        drink="llet | suc | vi | cervesa | xocolata",
        city="londres | parís | roma | madrid | tallinn | barcelona",
    ),
    "es": _grammar(
        "enciende {obj} {place} | apaga {obj} {place} | abre {way} {place} | cierra {way} {place} | "
        "pon {music} {when} | "
        "pon un temporizador de {n} minutos | despiértame en {n} horas | llama {name} {when} | "
        "añade {thing} y {other} a la lista | "
        "compra {n} botellas de {drink} | qué tiempo hará en {city} {when} | pon {obj} a {n} grados",
        obj="la luz | la lámpara | la calefacción | la radio | el ventilador | el televisor | el horno",
        way="la puerta | la ventana | la verja | la cortina | el garaje",
        place="de la cocina | del dormitorio | del jardín | del pasillo | de arriba | ahora | por favor",
        music="música | las noticias | una canción | mi disco favorito",
        when="ahora | hoy | mañana | esta noche | el lunes | el viernes | la semana que viene",
        name="a juan | a maría | al médico | a mi madre | a mi hermano | a la oficina",
        thing="pan | mantequilla | queso | manzanas | azúcar | café",
        drink="agua | leche | zumo | vino | cerveza",
        city="londres | parís | roma | madrid | tallinn | barcelona",
    ),
    "fr": _grammar(
        "allume {obj} {place} | éteins {obj} {place} | ouvre {way} {place} | ferme {way} {place} | "
        "mets {music} {when} | "
        "mets un minuteur de {n} minutes | réveille moi dans {n} heures | appelle {name} {when} | "
        "ajoute {thing} et {other} sur la liste | "
        "achète {n} bouteilles de {drink} | quel temps fera t il à {city} {when} | "
        "règle {obj} sur {n} degrés",
        obj="la lumière | la lampe | le chauffage | la radio | le ventilateur | la télévision | le four",
        way="la porte | la fenêtre | la grille | le rideau | le garage",
        place="de la cuisine | de la chambre | du jardin | du couloir | en haut | maintenant | tout de suite",
        music="de la musique | les nouvelles | une chanson | mon disque préféré",
        when="maintenant | demain | ce soir | lundi | vendredi | la semaine prochaine",
        name="jean | marie | le médecin | ma mère | mon frère | le bureau",
        thing="du pain | du beurre | du fromage | des pommes | du sucre | du café",
        drink="lait | jus | vin | bière | cidre",
        city="londres | paris | rome | madrid | tallinn | barcelone",
    ),
    "it": _grammar(
        "accendi {obj} {place} | spegni {obj} {place} | apri {way} {place} | chiudi {way} {place} | "
        "metti {music} {when} | "
        "imposta un timer di {n} minuti | svegliami tra {n} ore | chiama {name} {when} | "
        "aggiungi {thing} e {other} alla lista | "
        "compra {n} bottiglie di {drink} | che tempo farà a {city} {when} | imposta {obj} a {n} gradi",
        obj="la luce | la lampada | il riscaldamento | la radio | il ventilatore | il televisore | il forno",
        way="la porta | la finestra | il cancello | la tenda | il garage",
        place="della cucina | della camera | del giardino | del corridoio | di sopra | adesso | per favore",
        music="della musica | le notizie | una canzone | il mio disco preferito",
        when="adesso | oggi | domani | stasera | lunedì | venerdì | la settimana prossima",
        name="giovanni | maria | il medico | mia madre | mio fratello | il lavoro",
        thing="pane | burro | formaggio | mele | zucchero | caffè",
        drink="acqua | latte | succo | vino | birra",
        city="londra | parigi | roma | madrid | tallinn | barcellona",
    ),
}


def random_command(language: str, rng: np.random.Generator) -> str:
    """One command, lower case, words separated by single blanks."""
    grammar = GRAMMARS[language]
    pattern = grammar.patterns[int(rng.integers(len(grammar.patterns)))]
    values = {name: phrases[int(rng.integers(len(phrases)))] for name, phrases in grammar.slots.items()}
    values["other"] = str(rng.choice([thing for thing in grammar.slots["thing"] if thing != values["thing"]]))
    count = int(rng.integers(2, 60))
    if count % 10 == 1:
        count += 1
    return pattern.format(n=number_words(count, language), **values)
